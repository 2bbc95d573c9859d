"""How the options of Windows' own programs are written: `/x`, `/x:value`, `-x=value`, `/x value`, `/s/b`.

A word that begins with `/` or `-` and is not listed, sign included, is an option nobody knows: which of the two signs
a program takes decides whether the word after it is a value or a file.
"""

from __future__ import annotations

import re
from typing import Final

from caisey_core.table import Row, Use, Word

_NAMED: Final = re.compile(r"([^:=]*)([:=])(.*)", re.DOTALL)


def read_slashes(known: dict[str, str], row: Row, words: tuple[Word, ...], *, stop: bool = False) -> tuple[Use, int]:
    """Sort `words`, which are in lower case, into options and operands; `stop` at the first operand.

    Returns the sorted words and how many of them were read.
    """
    use, at = Use(), 0
    if row.verbatim:
        return Use(operands=list(words), loose=None in words), len(words)
    while at < len(words):
        word = words[at]
        at += 1
        if not isinstance(word, str) or not word.startswith(("/", "-")):
            if stop:
                return use, at - 1
            use.loose = use.loose or word is None
            use.operands.append(word)
            continue
        found = _NAMED.match(word)
        name, sign, value = (found[1], found[2], found[3]) if found and word not in known else (word, "", "")
        kind = known.get(name)
        if kind is None or (sign and not kind):
            joined = ["/" + each for each in word[1:].split("/")] if word.startswith("/") else []
            if len(joined) > 1 and all(known.get(each) == "" for each in joined):
                use.options += [(each, None) for each in joined]
            else:
                use.odd = use.odd or f"the option {name}"
        elif sign or kind in {"", "?"}:
            use.options.append((name, value if sign else None if kind == "" else ""))
        elif at < len(words):
            use.loose = use.loose or words[at] is None
            use.options.append((name, words[at]))
            at += 1
        else:
            use.odd = use.odd or f"the option {name} without its value"
    return use, at
