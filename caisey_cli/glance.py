"""`caisey status --short`: one line for a shell's prompt or tmux, from the file `known` reads, and from nothing else.

What goes into a prompt is expanded there, by each shell in its own way (`%`, `\\`, `$`, backticks, tmux's `#[`), and no
one way of escaping suits all of them. So a name is reduced to letters, digits and a few signs that mean nothing to any.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

from caisey_cli import known

STALE_MS: Final = 10 * 60_000
"""From so long after the relay was last heard on, the line says how old it is."""
DUE_MS: Final = 14 * 24 * 3_600_000
_SIGNS: Final = " ._/:@+=,-"
_LATIN: Final = 0x250
_NAME: Final = 24


def shape(found: dict[str, Any], now: int) -> dict[str, Any]:
    """The counts for programs; times in ms, None where nothing is known."""
    sessions = [each for each in known.sessions(found) if not each.get("closed")]
    mine = [each for each in sessions if each.get("mine")]
    waiting = [ask for each in (found, *sessions) for ask in known.asks(each) if ask[2] and ask[1] > now]
    return {
        "open": len(mine),
        "approvals": len(waiting),
        "next_expires": min((ask[1] for ask in waiting), default=None),
        "owed": sum(bool(each.get("owes")) for each in mine),
        "questions": sum(len(known.questions(each)) for each in mine),
        "unsent": known.number(found, "unsent"),
        "roster_expires": known.number(found, "expires") or None,
        "at": known.number(found, "at") or None,
        "heard": known.number(found, "heard") or None,
    }


def line(found: dict[str, Any], now: int) -> str:
    """`front-desk-03 48211, 2 to approve, 1 to verify, as of 3h`; empty where there is nothing to say."""
    told = shape(found, now)
    parts = [_open(found, told["open"])] if told["open"] else []
    for name, words in (
        ("approvals", "to approve"),
        ("owed", "to verify"),
        ("questions", "to answer"),
        ("unsent", "unsent"),
    ):
        if told[name]:
            parts.append(f"{told[name]} {words}")
    left = (told["roster_expires"] or now + 2 * DUE_MS) - now
    if left < DUE_MS:
        parts.append(f"roster {_age(left)} left" if left > 0 else "roster expired")
    if parts and now - (told["heard"] or 0) > STALE_MS:
        parts.append(f"as of {_age(now - told['heard'])}" if told["heard"] else "never connected")
    return ", ".join(parts)


def _open(found: dict[str, Any], count: int) -> str:
    if count > 1:
        return f"{count} open"
    mine = next(each for each in known.sessions(found) if each.get("mine") and not each.get("closed"))
    endpoint = str(mine.get("endpoint", ""))
    return " ".join(each for each in (plain(endpoint.partition("/")[2] or endpoint), plain(mine.get("ticket"))) if each)


def plain(text: object) -> str:
    """A name that no prompt expands: whatever could be more than a name is `_`."""
    shown = "".join(each if _harmless(each) else "_" for each in str(text or ""))
    return shown if len(shown) <= _NAME else f"{shown[: _NAME - 2]}.."


def _harmless(each: str) -> bool:
    return each in _SIGNS or (each.isalnum() and ord(each) < _LATIN)


def _age(ms: int) -> str:
    minutes = ms // 60_000
    return f"{minutes}m" if minutes < 120 else f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"


def asked(words: list[str]) -> tuple[str | None, bool] | None:
    """The home and whether JSON is wanted, of `status --short`; None for whatever else was typed."""
    if words[:1] != ["status"] or "--short" not in words:
        return None
    home, as_json, rest = None, False, iter(words[1:])
    for word in rest:
        if word == "--home":
            home = next(rest, None)
            if home is None:
                return None
        elif word.startswith("--home="):
            home = word.partition("=")[2]
        elif word == "--json":
            as_json = True
        elif word != "--short":
            return None
    return home, as_json


def tell(home: str | None, *, as_json: bool) -> int:
    """Writes it; always 0: a prompt has no use for a failure."""
    now = int(time.time() * 1000)
    found = known.everything(home)
    if as_json:
        sys.stdout.write(json.dumps({"v": 1, "kind": "status"} | shape(found, now)) + "\n")
    elif told := line(found, now):
        sys.stdout.write(told + "\n")
    return 0
