"""The journal in short, kept for TAB and prompts (`known`): by each line to the relay at its end, and by what reads.

Only sessions that have grown since are folded again, and only those that are open.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Final

from caisey_cli import known, resolve, wording
from caisey_cli.resolve import Known
from caisey_cli.sanitize import inert
from caisey_cli.transcript import Transcript, Work
from caisey_core.errors import CaiseyError
from caisey_core.ids import request_code
from caisey_core.journal import Journal
from caisey_core.lifecycle import Step
from caisey_core.roster import Roster

CLOSED: Final = 100
"""Closed sessions that TAB still knows."""
COMMAND: Final = 60
JOURNAL: Final = "journal.db"
"""The home's journal; what is known of others is not kept."""


def remember(
    home: Path, journal: Journal, roster: Roster, me: str, *, found: list[Known] | None = None, heard: bool = False
) -> None:
    """Keeps what is in the journal; never fails a command. `me` is the member's id, `heard`: the relay was there."""
    with contextlib.suppress(OSError, CaiseyError, ValueError):
        old = known.read(str(home))
        now = int(time.time() * 1000)
        listed = resolve.sessions(journal, roster) if found is None else found
        known.keep(
            str(home),
            {"at": now, "heard": now if heard else known.number(old, "heard")}
            | _names(roster, me)
            | {"sessions": _sessions(journal, roster, me, listed, old), "unsent": len(journal.unsent())},
        )


def _names(roster: Roster, me: str) -> dict[str, Any]:
    scope = resolve.in_scope(roster, roster.members.get(me))
    here = [each for each in roster.members.values() if each.removed is None]
    return {
        "endpoints": [inert(each.name) for each in scope],
        "members": [inert(each.name) for each in here],
        "clients": sorted({inert(each.name.partition("/")[0]) for each in scope if "/" in each.name}),
        "expires": roster.expires,
    }


def _sessions(
    journal: Journal, roster: Roster, me: str, listed: list[Known], old: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    before = old.get("sessions")
    before = before if isinstance(before, dict) else {}
    closed, kept = 0, {}
    for each in listed:
        closed += each.closed or each.unreadable
        if (each.closed or each.unreadable) and closed > CLOSED:
            continue
        mark = [roster.version, journal.length(each.log), each.closed]
        earlier = before.get(each.log)
        if isinstance(earlier, dict) and earlier.get("mark") == mark:
            kept[str(each.log)] = earlier
        else:
            kept[str(each.log)] = {"mark": mark} | _session(journal, roster, me, each)
    return kept


def _session(journal: Journal, roster: Roster, me: str, each: Known) -> dict[str, Any]:
    told = {
        "code": each.code,
        "endpoint": inert(each.endpoint),
        "ticket": inert(each.ticket),
        "mine": each.opener == me != "",
        "closed": each.closed or each.unreadable,
        "owes": False,
        "asks": [],
    }
    if told["closed"]:
        return told
    transcript = Transcript.of(journal.entries(each.log, output=False), roster)
    return told | {
        "owes": transcript.unverified_change,
        "asks": [ask for work in transcript.works.values() if (ask := _ask(transcript, roster, me, each, work))],
    }


def _ask(transcript: Transcript, roster: Roster, me: str, each: Known, work: Work) -> list[Any]:
    """What waits for another member, as `known.asks` has it."""
    held, hold, member = work.action.held, work.action.hold, roster.members.get(me)
    if work.action.step is not Step.HELD or held is None or hold is None or held.quorum is None:
        return []
    endpoint = roster.endpoints.get(each.endpoint_id)
    may = member is not None and member.role in held.quorum.roles and endpoint is not None
    yours = may and member is not None and endpoint is not None and member.serves(endpoint.client)
    yours = yours and each.opener != me
    words = f"{wording.command(work, COMMAND)} ({wording.member(transcript.who(work.action.proposal))})"
    return [request_code(work.action.digest), hold.received + held.window_ms, yours, words]
