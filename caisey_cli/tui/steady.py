"""What a full screen of ours rests on: no byte of the terminal ends it or gets out of a paste, and no end is silent.

Textual's driver reads strictly: one byte in another encoding, typed or pasted, would end the screen. Its parser takes
an escape character within a paste for the beginning of a key, and what follows for keys, Enter among them; not every
terminal keeps that out of what is pasted (tmux does not). So both are made U+FFFD before it sees them. A terminal that
is gone, of which nobody was told (`nohup`), ends the screen.
"""

from __future__ import annotations

from codecs import IncrementalDecoder, getincrementaldecoder
from typing import Final

from textual.app import App
from textual.drivers import linux_driver

UNREAD: Final = "\ufffd"
"""In sight, and no character that means anything to a shell or a terminal."""
ESCAPE: Final = "\x1b"
BEGIN: Final = f"{ESCAPE}[200~"
END: Final = f"{ESCAPE}[201~"


class Pastes:
    """What the terminal sends, in pieces however it is cut: between a paste's begin and its end no escape is left."""

    def __init__(self) -> None:
        self._inside = False
        self._before = ""
        """The last characters that were passed on outside: a begin may be cut in two."""
        self._kept = ""
        """What may be the beginning of the end."""

    def passed(self, text: str) -> str:
        """A piece, as it is to be parsed."""
        found = []
        while text:
            piece, text = self._within(text) if self._inside else self._without(text)
            found.append(piece)
        return "".join(found)

    def _without(self, text: str) -> tuple[str, str]:
        known = len(self._before)
        at = (self._before + text).find(BEGIN)
        self._inside = at >= 0
        taken = at + len(BEGIN) - known if self._inside else len(text)
        self._before = "" if self._inside else (self._before + text)[-len(BEGIN) + 1 :]
        return text[:taken], text[taken:]

    def _within(self, text: str) -> tuple[str, str]:
        text, self._kept = self._kept + text, ""
        inner, end, rest = text.partition(END)
        if end:
            self._inside = False
        else:
            cut = max((n for n in range(1, len(END)) if inner.endswith(END[:n])), default=0)
            inner, self._kept = inner[: len(inner) - cut], inner[len(inner) - cut :]
        return inner.replace(ESCAPE, UNREAD) + end, rest


def _decoder(encoding: str) -> type[IncrementalDecoder]:
    """As `codecs.getincrementaldecoder`, for what a terminal sends."""
    strict = getincrementaldecoder(encoding)

    class Lenient(strict):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__("replace")
            self._pastes = Pastes()

        def decode(self, data: bytes, final: bool = False) -> str:
            if not data and not final:
                # Textual would ask again at once, for ever, and the program could not be ended.
                raise EOFError("The terminal is gone.")
            return self._pastes.passed(super().decode(data, final))

    return Lenient


setattr(linux_driver, "getincrementaldecoder", _decoder)  # noqa: B010  (the driver has no setting for it)


class Steady(App[None]):
    """See the module. Whoever opens it raises `failure`, on a terminal that is whole again."""

    failure: BaseException | None = None

    def panic(self, *renderables: object) -> None:
        """A part of the screen itself has failed, its input say."""
        del renderables
        if self._exception is None:
            self.failure = self.failure or RuntimeError("the screen could not be kept up")
        self.exit()

    def _print_error_renderables(self) -> None:
        """Nothing: a trace would show what others wrote; whoever opened the screen tells the error instead."""
        self._exit_renderables.clear()
