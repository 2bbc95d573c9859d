"""Which names go with an argument or option: said where it is declared, `autocompletion=completes("endpoints")`.

The answer to TAB is `tab`'s; it goes by a grammar (`grammar`) that is made by asking each parameter for its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

KINDS: Final = ("endpoints", "sessions", "tickets", "requests", "questions", "members", "clients")
_asked: list[bool] = []


def completes(kind: str) -> Callable[[str], Iterator[tuple[str, str]]]:
    """For typer: names of a kind."""

    def names(incomplete: str) -> Iterator[tuple[str, str]]:
        if _asked:
            yield kind, ""
            return
        from caisey_cli.tab import Names

        yield from Names().of(kind, incomplete)

    return names


@contextmanager
def asked_for_kinds() -> Iterator[None]:
    """Within it, what `completes` has made answers with its kind."""
    _asked.append(True)
    try:
        yield
    finally:
        _asked.pop()
