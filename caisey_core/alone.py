"""One thread judges at a time.

The parsers are for one thread each, though another may run while they ask for more of a script; and msgspec, when it
first sees a type, is for one, too. Two that judge at once would end the program, with whatever it has running.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Final, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Got = TypeVar("_Got")
_LOCK: Final = RLock()


def alone(function: Callable[_Given, _Got]) -> Callable[_Given, _Got]:
    """The same, in one thread at a time, together with all others that are so."""

    @wraps(function)
    def locked(*args: _Given.args, **kwargs: _Given.kwargs) -> _Got:
        with _LOCK:
            return function(*args, **kwargs)

    return locked
