"""What holds for every test: reproducible examples in CI, and no test left out there unnoticed."""

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# A shell without job control has what it starts in the background ignore Ctrl-C, and that is passed on to its programs.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Nothing is kept in the directory of whoever runs the tests.
os.environ.pop("XDG_RUNTIME_DIR", None)

NO_SKIP = os.environ.get("CAISEY_NO_SKIP") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for clocks and processes comes first, and what only computes fills the gaps and the end."""
    items.sort(key=lambda item: item.path.parent.name == "core")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where nothing may be skipped; an xfail stays expected."""
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself while it is being collected."""
    report = yield
    if NO_SKIP and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"CAISEY_NO_SKIP=1 allows no skip, but: {reason}"
