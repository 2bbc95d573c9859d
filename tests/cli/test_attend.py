"""An action that is attended: what is put to somebody and answered at once by others."""

from __future__ import annotations

import gc
import inspect
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from caisey_cli.attend import Answers, Interrupts, attend
from caisey_cli.happenings import Happening, Held, Request, Withdrawn
from caisey_core.ids import Digest, LogId
from caisey_core.kinds import ActionHeld
from tests.cli.front import Front
from tests.core.samples import BODIES

REQUEST = Request(LogId("a1" * 32), Digest("a2" * 32), 0)


class Controller:
    """Tells what happened, all of it at once."""

    def __init__(self, *happenings: Happening) -> None:
        self._happenings = happenings

    async def follow(self, _request: Request) -> AsyncIterator[Happening]:
        for each in self._happenings:
            yield each


async def test_a_question_that_is_answered_before_it_was_put_leaves_nothing_behind() -> None:
    """It came with its answer: whoever was to be asked never was, and what would have asked them is gone as well."""
    held = BODIES["action.held"]
    assert isinstance(held, ActionHeld)
    controller = Controller(Held(Digest("a3" * 32), held, 0), Withdrawn("by another terminal"))
    front = Front()
    end = await attend(cast(Any, controller), REQUEST, front, Answers(), Interrupts())
    assert isinstance(end, Withdrawn)
    assert front.said == []
    coroutines = [each for each in gc.get_objects() if inspect.iscoroutine(each)]
    never_begun = [each for each in coroutines if inspect.getcoroutinestate(each) == inspect.CORO_CREATED]
    assert [each.__qualname__ for each in never_begun if "_Attendance" in each.__qualname__] == []


def test_a_terminal_that_is_closed_is_said_twice_and_meant_once() -> None:
    """By the kernel, and by the shell in it: the second is not the second Ctrl-C."""
    interrupts, left = Interrupts(), []
    interrupts.leave = lambda: left.append(True)
    with interrupts.armed():
        interrupts.hang_up()
        interrupts.hang_up()
        assert interrupts.first.is_set()
        assert left == []
        interrupts.strike()
        assert left == [True]


async def test_what_fails_beside_an_action_is_not_waited_for() -> None:
    """It was to stop it, say: whatever it is, it is told."""

    class Fails(Controller):
        async def follow(self, _request: Request) -> AsyncIterator[Happening]:
            for each in self._happenings:
                yield each
            raise OSError("nobody foresaw this")

    with pytest.raises(OSError, match="nobody foresaw this"):
        await attend(cast(Any, Fails()), REQUEST, Front(), Answers(), Interrupts())
