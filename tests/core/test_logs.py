"""Lines of programs that run by themselves: what stands in them, and what never does."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from caisey_core import logs
from caisey_core.errors import JournalError
from caisey_core.logs import Format, Level, Teller

SECRET = "hunter2"
_say = Teller("caisey_core.test")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written, each line read as JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_as_json_has_time_level_event_and_identifiers(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Format.JSON, Level.INFO)
    _say.info("connection.opened", connection=7, role="endpoint", address="10.0.0.9", missing="")
    _say.debug("not.said")
    (line,) = lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "connection.opened",
        "connection": 7,
        "role": "endpoint",
        "address": "10.0.0.9",
    }


def test_an_identifier_cannot_take_a_lines_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Format.JSON)
    _say.warning("login.refused", level="info", time="never", key="SHA256:x")
    (line,) = lines(capsys)
    assert (line["level"], line["event"], line["key"]) == ("warning", "login.refused", "SHA256:x")
    assert line["time"] != "never"


@pytest.mark.parametrize("shape", list(Format))
def test_what_comes_from_elsewhere_stays_in_its_line(shape: Format, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(shape)
    _say.warning("login.refused", "it said\nlevel=info all is well \x1b[2J", address="a\u202eb\r\nfake [x]")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request\x1b[0m received.\n")
    written = capsys.readouterr().err
    assert written.isascii()
    assert len(written.splitlines()) == written.count("\n") == 2
    assert "\x1b" not in written


@pytest.mark.parametrize("shape", list(Format))
def test_a_faults_own_words_are_not_told(shape: Format, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(shape)
    try:
        _ = dict[str, int]()[SECRET]
    except KeyError as error:
        _say.error("connection.fault", "a connection was ended by a fault", fault=error)
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    written = capsys.readouterr().err
    assert SECRET not in written
    assert written.count("KeyError") == 2
    assert "test_logs.py" in written


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full"),
        (JournalError("The journal cannot be used."), "The journal cannot be used."),
    ],
)
def test_the_systems_words_and_our_own_are(error: Exception, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Format.JSON)
    _say.error("journal.failed", fault=error)
    (line,) = lines(capsys)
    assert (line["fault"], line["why"]) == (type(error).__name__, why)
