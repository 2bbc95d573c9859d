"""The journal in short, kept for TAB and prompts (`known`): by each line to the relay at its end, and by what reads.

Only sessions that have grown since are read again, and only those that are open are folded.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Final

from caisey_cli import known, questions, resolve, wording
from caisey_cli.resolve import Known
from caisey_cli.sanitize import inert
from caisey_cli.transcript import Transcript, Work
from caisey_core.changes import State
from caisey_core.errors import CaiseyError
from caisey_core.ids import request_code
from caisey_core.journal import Journal
from caisey_core.lifecycle import Step
from caisey_core.roster import Roster, beyond

CLOSED: Final = 100
"""Closed sessions that TAB still knows."""
COMMAND: Final = 60
_SHORT: Final = 16
JOURNAL: Final = "journal.db"
"""The home's journal; what is known of others is not kept."""
CLONED: Final = "cloned"
"""The journal's setting for endpoints, by id, whose key several machines use; as the relay said last."""


def keep_cloned(journal: Journal, endpoints: tuple[str, ...]) -> None:
    """Keeps which endpoints' keys several machines use, for those who read without a relay."""
    said = " ".join(sorted(endpoints))
    if said != journal.setting(CLONED):
        journal.set(CLONED, said)


def remember(
    home: Path, journal: Journal, roster: Roster, me: str, *, found: list[Known] | None = None, heard: bool = False
) -> None:
    """Keeps what is in the journal; never fails a command. `me` is the member's id, `heard`: the relay was there.

    `found`: every session of the journal, where the caller has them.
    """
    with contextlib.suppress(OSError, CaiseyError, ValueError):
        old = known.read(str(home))
        now = int(time.time() * 1000)
        kept, past = _sessions(journal, roster, me, found, old)
        known.keep(
            str(home),
            {"at": now, "heard": now if heard else known.number(old, "heard"), "me": me}
            | _names(roster, me)
            | {"sessions": kept, "past": past, "asks": _changes(roster, me), "unsent": len(journal.unsent())},
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


def _changes(roster: Roster, me: str) -> list[list[Any]]:
    """Changes of the workspace that wait for another admin, as `known.asks` has what waits."""
    member = roster.members.get(me)
    rows: list[list[Any]] = []
    for change in roster.changes.values():
        if change.state is State.WAITING:
            yours = member is not None and member.governs and change.by != me and not beyond(member, change.record.body)
            named = inert(str(getattr(change.record.body, "name", "")))
            words = f"{change.record.head.kind.replace('.', ' ')} {named}".strip()
            rows.append([request_code(change.digest), change.until, yours, words])
    return rows


def _sessions(
    journal: Journal, roster: Roster, me: str, found: list[Known] | None, old: dict[str, Any]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The sessions to keep, the newest first, and the beginnings of the ids of those closed long ago."""
    before = {
        log: each for log, each in (old.get("sessions") or {}).items() if isinstance(each, dict) and old.get("me") == me
    }
    fresh = {log: each for log, each in before.items() if each.get("mark") == _mark(journal, roster, log)}
    past = set(known.texts(old, "past"))
    if found is None:
        rest = {roster.log, *fresh}
        found = resolve.sessions(journal, roster, skip=lambda log: log in rest or log[:_SHORT] in past)
    told = fresh | {
        each.log: _session(journal, roster, me, each)
        for each in found
        if each.log not in fresh and each.log[:_SHORT] not in past
    }
    kept: dict[str, dict[str, Any]] = {}
    closed = 0
    for log, each in sorted(told.items(), key=lambda item: known.number(item[1], "opened"), reverse=True):
        closed += bool(each.get("closed"))
        if each.get("closed") and closed > CLOSED:
            past.add(log[:_SHORT])
        else:
            kept[str(log)] = each
    return kept, sorted(past)


def _mark(journal: Journal, roster: Roster, log: str) -> list[int]:
    """Another one when there may be something else to tell of a session."""
    return [roster.version, journal.length(log)]


def _session(journal: Journal, roster: Roster, me: str, each: Known) -> dict[str, Any]:
    told = {
        "mark": _mark(journal, roster, each.log),
        "opened": each.opened,
        "code": each.code,
        "endpoint": inert(each.endpoint),
        "ticket": inert(each.ticket),
        "mine": each.opener == me != "",
        "closed": each.closed or each.unreadable,
        "owes": False,
        "asks": [],
        "questions": [],
    }
    if told["closed"]:
        return told
    transcript = Transcript.of(journal.entries(each.log, output=False), roster)
    return told | {
        "owes": transcript.unverified_change,
        "questions": [
            [questions.code(each), wording.quoted(questions.text(each), COMMAND)]
            for each in transcript.session.unanswered
        ],
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
