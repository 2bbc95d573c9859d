"""A few seconds of the fault matrix: some seeds, what once went wrong, and that a seed means the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.faults.bugs import BUGS

SEEDS = {
    "give-nothing-back-to-a-restored-relay": 3,
    "settle-before-everything-has-come": 65,
    "forget-what-its-key-has-said": 5,
    "let-two-machines-speak-for-one": 57,
    "believe-whoever-calls-it-over-first": 497,
    "say-twice-that-it-is-unknown": 57,
    "read-on-whatever-waits": 67,
    "call-whole-what-was-cut": 27,
    "give-one-peer-the-others-receipts": 33,
    "say-nothing-of-what-is-taken-back": 0,
    "acknowledge-before-commit": 13,
    "publish-before-commit": 13,
    "lose-a-wake-up": 0,
    "let-the-clock-go-back": 102,
    "forget-a-resend": 6,
    "forget-what-was-followed": 0,
    "merge-two-series": 4,
    "spend-after-start": 2,
    "start-again-after-a-restart": 55,
    "claim-finished-when-killed": 55,
    "drop-output-while-away": 23,
    "write-output-again-on-reconnect": 23,
    "go-on-without-a-journal": 2,
    "send-before-it-is-kept": 0,
    "hold-for-ever": 8,
    "start-what-was-taken-back": 0,
    "look-up-a-hold-that-is-gone": 214,
    "show-again-after-a-reconnect": 7,
    "leave-it-running-without-a-journal": 48,
    "stop-it-whatever-the-policy-says": 64,
    "stop-it-by-what-is-not-kept": 204,
    "run-on-whatever-the-policy-says": 55,
    "end-it-whatever-the-policy-says": 76,
    "write-again-what-the-last-pen-could": 76,
}
"""A seed at which each planted bug shows, or soon after; `make faults ARGS=--bugs-only` names one."""


def played(*words: str) -> list[dict[str, Any]]:
    """What `quick` tells of the runs it is asked for; the simulation never gets into this process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.quick", *words],
        env=os.environ | {"PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_everything_holds_in_the_first_runs() -> None:
    found = played("0-59")
    assert len(found) == 60
    bad = {each["run"]: each["violations"] for each in found if each["violations"]}
    ended = sum("end: Finished" in each["became"] for each in found)
    assert ended > 20, "most of what is typed has to run, or nothing is tested"
    assert not bad, "make faults ARGS='--seed N' plays one of these again, step by step"


def test_what_once_went_wrong_does_not_any_more() -> None:
    assert {each["run"]: each["violations"] for each in played("known") if each["violations"]} == {}


def test_a_seed_is_the_same_run_every_time() -> None:
    assert [each["digest"] for each in played("5-9")] == [each["digest"] for each in played("5-9")]


def test_every_planted_bug_is_noticed() -> None:
    assert {bug.name for bug in BUGS} == SEEDS.keys()
    breaks = {bug.name: bug.breaks for bug in BUGS}
    for each in played(*(f"{name}={seed}" for name, seed in SEEDS.items())):
        broken = {violation.partition(":")[0] for violation in each["violations"]}
        assert broken & breaks[each["run"]], (each["run"], each["violations"])
