"""What a relay's refusal means to who asked: whose fault it is, and whether it is offered again."""

from __future__ import annotations

import pytest

from caisey_cli.refusals import denied
from caisey_core.errors import CaiseyError, Forbidden, RecordError, Refused, Unreachable, UsageError
from caisey_core.frames import DENIALS
from caisey_core.link import Rejected


@pytest.mark.parametrize(
    ("code", "kept", "error", "words"),
    [
        # What is missing before it is kept here as well: the relay could not write that either.
        ("gap", True, Unreachable, "offered again by the next command"),
        ("store", True, Unreachable, "offered again by the next command"),
        ("rate", True, Unreachable, "offered again by the next command"),
        ("gap", False, RecordError, "Nothing was done"),
        ("store", False, Unreachable, "Nothing was done"),
        ("equivocation", True, RecordError, "Nothing was done"),
        ("signature", True, RecordError, "Nothing was done"),
        ("scope", True, Forbidden, "Nothing was done"),
        ("kind", True, Refused, "Nothing was done"),
        ("size", True, UsageError, "Nothing was done"),
    ],
)
def test_a_refusal_says_whether_the_record_is_at_fault(
    code: str, kept: bool, error: type[CaiseyError], words: str
) -> None:
    told = denied(Rejected(1, code, ""), "the action", kept=kept)
    assert type(told) is error
    assert DENIALS[code] in str(told)
    assert words in str(told)
    assert ("verify" in told.hint) is (error is RecordError), "whose journal is sound is not sent to verify it"
