"""TAB: what could be typed here, from the grammar of the commands and the names that a home knows.

Neither network, journal nor keys are touched, nor typer imported: one TAB costs one start of the interpreter. The
grammar is made from the commands themselves (`make completions`), and a test fails when it is stale. A name that came
from others is offered in the quoting of the shell that asks: it is one word, and nothing in it is expanded.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from caisey_cli import known

GRAMMAR: Final = "grammar.json"
SHELLS: Final = ("bash", "zsh", "fish", "powershell")
_SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+,./:-_")
Offer = tuple[str, str]
"""What could be typed, and a word of help."""
Node = dict[str, Any]
"""A command of the grammar: `options` (name -> kind of its value, None for a flag), `arguments` (kinds), `help`."""


def answer(instruction: str) -> int:
    """Writes what the shell that asks wants; 0, or 1 for what no shell asks."""
    what, _, shell = instruction.partition("_")
    if shell not in SHELLS or what not in {"complete", "source"}:
        sys.stderr.write(f"There is no completion {instruction!r}. Shells: {', '.join(SHELLS)}\n")
        return 1
    if what == "source":
        from caisey_cli.scripts import SCRIPTS

        sys.stdout.write(SCRIPTS[shell])
        return 0
    words, incomplete = typed()
    shown = [_shown(each, shell) for each in offers(words, incomplete, grammar())]
    sys.stdout.buffer.write("".join(f"{each}\n" for each in shown).encode("utf-8", "surrogateescape"))
    return 0


def grammar() -> Node:
    """The commands as they were when `make completions` was last typed."""
    with open(os.path.join(os.path.dirname(__file__), GRAMMAR), "rb") as file:  # noqa: PTH118, PTH120, PTH123
        found: Node = json.loads(file.read())
        return found


# -- what was typed ---------------------------------------------------------------------------------------


def typed() -> tuple[list[str], str]:
    """The words before the cursor, without the program's name, and what there is of the one at it."""
    words = os.environ.get("COMP_WORDS", "").split("\n")
    try:
        at = int(os.environ.get("COMP_CWORD", ""))
    except ValueError:
        at = len(words) - 1
    before = [bare(each) for each in words[1:at]]
    return before, bare(words[at]) if 0 < at < len(words) else ""


def bare(word: str) -> str:
    """A word as a program would get it: without the shell's quotes and backslashes, closed or not."""
    out, quote, rest = [], "", iter(word)
    for each in rest:
        if each == "\\" and quote != "'":
            out.append(next(rest, ""))
        elif each == quote:
            quote = ""
        elif not quote and each in "'\"":
            quote = each
        else:
            out.append(each)
    return "".join(out)


# -- what could follow ------------------------------------------------------------------------------------


def offers(words: list[str], incomplete: str, tree: Node) -> list[Offer]:
    """What could stand at the cursor; nothing where only the user can know."""
    node, positional, pending, home = tree, 0, "", None
    for word in words:
        if word == "=" and pending:
            continue
        if pending:
            home = word if pending == "--home" else home
            pending = ""
        elif word == "--":
            return []  # somebody else's command line
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            takes = node["options"].get(name, "")
            pending = name if takes is not None and name in node["options"] and not equals else ""
            home = value if name == "--home" and equals else home
        elif "commands" in node:
            if word not in node["commands"]:
                return []
            node = node["commands"][word]
        else:
            positional += 1
    names = Names(home, commands=list(tree["commands"]))
    if incomplete == "=" and pending:
        incomplete = ""
    if pending:
        return names.of(node["options"][pending], incomplete)
    if incomplete.startswith("--") and "=" in incomplete:
        name, _, value = incomplete.partition("=")
        kind = node["options"].get(name)
        return [(f"{name}={each}", about) for each, about in names.of(kind, value)] if kind else []
    if incomplete.startswith("-"):
        return [(name, node["about"].get(name, "")) for name in node["options"] if name.startswith(incomplete)]
    if "commands" in node:
        return [(name, each["help"]) for name, each in node["commands"].items() if name.startswith(incomplete)]
    kinds = node["arguments"]
    return names.of(kinds[positional], incomplete) if positional < len(kinds) else []


class Names:
    """Names of a kind, from the home that is meant."""

    def __init__(self, home: str | None = None, *, commands: list[str] | None = None) -> None:
        self._known = known.everything(home)
        self._commands = commands or []

    def of(self, kind: str | list[str] | None, incomplete: str) -> list[Offer]:
        """Those that go on from what was typed; case does not matter."""
        if isinstance(kind, list):
            return [(each, "") for each in kind if each.startswith(incomplete)]
        make: Callable[[str], Iterator[Offer]] | None = getattr(self, f"_{kind}", None) if kind else None
        if make is None:
            return []
        wanted = incomplete.casefold()
        found = {value: about for value, about in make(incomplete) if value.casefold().startswith(wanted)}
        # What is not printable was made visible when it was kept, and would not be found under that name.
        return [(value, about) for value, about in found.items() if "\\u{" not in value and value.isprintable()]

    def _endpoints(self, incomplete: str) -> Iterator[Offer]:
        """`CLIENT/NAME`; `NAME` too where it has been begun and only one has it."""
        full = known.texts(self._known, "endpoints")
        yield from ((each, "") for each in full)
        if "local" in self._commands:
            yield "local", "this machine"
        if incomplete and "/" not in incomplete:
            shorts = [each.partition("/")[2] for each in full]
            yield from ((each, "") for each in shorts if each and shorts.count(each) == 1)

    def _sessions(self, incomplete: str) -> Iterator[Offer]:
        """By code, the open ones first; by ticket where that has been begun."""
        sessions = known.sessions(self._known)
        rows = [(bool(each.get("closed")), str(each.get("code")), _about(each), each) for each in sessions]
        yield from ((code, about) for _, code, about, _ in sorted(rows, key=lambda row: row[0]))
        if incomplete:
            yield from ((str(each.get("ticket")), about) for _, _, about, each in rows if each.get("ticket"))

    def _tickets(self, _incomplete: str) -> Iterator[Offer]:
        for each in known.sessions(self._known):
            if each.get("ticket"):
                yield str(each["ticket"]), _about(each)

    def _requests(self, _incomplete: str) -> Iterator[Offer]:
        """What still waits for another member."""
        now = time.time() * 1000
        for session in (self._known, *known.sessions(self._known)):
            for code, until, yours, words in known.asks(session):
                if until > now:
                    own = "" if yours else ", not yours to approve"
                    yield code, f"{session.get('endpoint') or 'workspace'}: {words}{own}"

    def _questions(self, _incomplete: str) -> Iterator[Offer]:
        """What is asked in a session and not answered."""
        for session in known.sessions(self._known):
            for code, words in known.questions(session):
                yield code, f"{session.get('endpoint')}: {words}"

    def _members(self, _incomplete: str) -> Iterator[Offer]:
        yield from ((each, "") for each in known.texts(self._known, "members"))

    def _clients(self, incomplete: str) -> Iterator[Offer]:
        """Also after a comma, where several may be named."""
        before = incomplete.rpartition(",")[0]
        named = before.split(",") if before else []
        for each in known.texts(self._known, "clients"):
            if each not in named:
                yield ",".join([*named, each]), ""


def _about(session: dict[str, Any]) -> str:
    ticket = f", ticket {session['ticket']}" if session.get("ticket") else ""
    return f"{session.get('endpoint')}{ticket}{', closed' if session.get('closed') else ''}"


# -- how it is said ---------------------------------------------------------------------------------------


def _shown(offer: Offer, shell: str) -> str:
    """A line for a shell's script: the word in its quoting, and help where it shows some."""
    value, about = offer
    about = "".join(each if each.isprintable() else " " for each in about)
    match shell:
        case "bash":
            return "".join(each if each in _SAFE or not each.isascii() else f"\\{each}" for each in value)
        case "powershell":
            safe = all(each in _SAFE - {"@", ",", "%"} or not each.isascii() for each in value)
            return f"{value if safe else _single(value)}\t{about}"
        case _:  # zsh and fish quote what they put in
            return f"{value}\t{about}"


def _single(value: str) -> str:
    """In PowerShell's single quotes, for which it also takes the typographic ones."""
    return "'" + "".join(each * 2 if each in "'\u2018\u2019\u201a\u201b" else each for each in value) + "'"
