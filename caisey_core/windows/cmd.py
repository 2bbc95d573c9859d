"""One line for cmd as words: only what holds no sign of cmd's own, with the few quoted forms that are certain."""

from __future__ import annotations

import re
from typing import Final

WORD_LIMIT: Final = 256
_WORD: Final = re.compile(
    r"(?P<lead>(?:/[A-Za-z]+:|[A-Za-z]+=)?)\"(?P<quoted>[A-Za-z0-9_.:\\/*?+#@$~{}\[\],|&<>^;=' ()-]*)\""
    r"|(?P<bare>(?:[A-Za-z0-9_.:\\/*?+#@$~{}\[\],=-]|'[A-Za-z0-9_.-]*')+)",
    re.ASCII,
)


"""Between two quotes that hold a whole word, `|`, `&`, `<`, `>` and `^` are letters; `%` and `!` are not."""


def words_of(script: str) -> tuple[str, ...] | None:
    """The words of one line without any sign of cmd's; None where there is one. Quotes have to hold a whole word."""
    words: list[str] = []
    at = 0
    if "\n" in script or re.match(r"[^ \t]*[,;='\"]", script):
        return None
    while at < len(script):
        if len(words) > WORD_LIMIT:
            return None
        if script[at] in " \t":
            at += 1
            continue
        word = _WORD.match(script, at)
        if word is None or (word.end() < len(script) and script[word.end()] not in " \t"):
            return None
        if word["bare"] is not None:
            words.append(word["bare"])
        else:
            if word["quoted"].endswith("\\") or not word["quoted"]:
                return None
            words.append(word["lead"] + word["quoted"])
        at = word.end()
    return tuple(words)


def quoted(words: tuple[str, ...]) -> str:
    """A line that has these words; a single one is the line itself."""
    return words[0] if len(words) == 1 else " ".join(f'"{word}"' if " " in word else word for word in words)
