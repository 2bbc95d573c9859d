"""`caisey sync`: this journal and the relay's brought into agreement, without doing anything else.

Reading needs no relay, so a journal learns what was said after a command had left only from the next command that
connects. What the relay holds of each session is asked over HTTP, a hint; what differs is followed, verified and kept
as ever, and what was never acknowledged is offered again first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from caisey_cli import missed, resolve
from caisey_cli.connecting import Line
from caisey_cli.sanitize import inert
from caisey_cli.wording import count, listed
from caisey_core.errors import Forbidden, UsageError
from caisey_core.frames import read_checkpoint
from caisey_core.ids import LogId, session_code, spoken
from caisey_core.journal import Journal

if TYPE_CHECKING:
    from caisey_core.api import SessionShape

_SYNCED: Final = "synced"
"""The journal's setting for when it was; written last, so that whatever came is durable with it."""
_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Held:
    """What a journal holds: records with a place, and those without a receipt, by session."""

    placed: Mapping[LogId, int]
    unsent: Mapping[LogId, int]

    @classmethod
    def by(cls, journal: Journal, roster: str) -> Held:
        """As the journal is now; the roster is no session."""
        unsent: dict[LogId, int] = {}
        for log, _ in journal.unsent():
            unsent[log] = unsent.get(log, 0) + 1
        return cls({log: journal.length(log) for log in journal.placed() if log != roster}, unsent)


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of it. `sessions` are compared ones; `came` and `went` records of sessions, by session.

    `alone`: sessions kept here that the relay does not show (any more). `refused`: how many records it did not take,
    and why.
    """

    sessions: int
    came: Mapping[LogId, int]
    went: Mapping[LogId, int]
    alone: tuple[LogId, ...]
    refused: int
    why: str

    def text(self) -> str:
        """One line; more only for what is not in agreement. Inert."""
        moved = "; ".join(
            f"{_records(each)} {verb}, in {count(len(each), 'session')}"
            for verb, each in (("came", self.came), ("went", self.went))
            if each
        )
        here = "1 session is" if self.sessions == 1 else f"All {self.sessions} sessions are"
        agree = f"{here} as long here as at the relay." if self.sessions else "There is no session to compare."
        said = f"{moved or 'Nothing was missing'}. {agree}"
        if self.refused:
            why = inert(self.why).rstrip(".")
            said += f"\n{count(self.refused, 'record')} stay here, for the relay did not take them: {why}."
        if self.alone:
            codes = listed(map(session_code, self.alone), _NAMED)
            said += f"\nKept here only, for the relay does not show it to you: {codes}."
        return said

    def shape(self) -> dict[str, Any]:
        """For programs: see `docs/commands.md`."""
        return {
            "sessions": self.sessions,
            "came": {session_code(log): number for log, number in self.came.items()},
            "went": {session_code(log): number for log, number in self.went.items()},
            "alone": [session_code(log) for log in self.alone],
            "refused": self.refused,
            "why": self.why,
        }


def _records(by_log: Mapping[LogId, int]) -> str:
    return count(sum(by_log.values()), "record")


async def sync(line: Line, before: Held, typed: str) -> Synced:
    """Brings one session, or all that concern this journal, into agreement. `before`: as it was before connecting.

    Raises `Unreachable` or what the relay's refusal means; what has come until then is kept.
    """
    untaken = await line.offered()
    known = await asyncio.to_thread(missed.known, line.membership, line.key)
    logs = [_meant(line, known, typed)] if typed else _differing(line, known)
    alone = [log for log in before.placed if not typed and all(log != each.log for each in known)]
    for log in logs:
        try:
            await line.follow(log)
        except Forbidden:
            # Out of scope since it was listed; where it alone was asked for, that is the answer.
            if typed:
                raise
            alone.append(log)
    line.journal.set(_SYNCED, str(line.now()))
    compared = (set(logs) if typed else _concerning(line, known)) - set(alone)
    return told(before, Held.by(line.journal, line.membership.roster), len(compared), alone, untaken)


def told(before: Held, after: Held, sessions: int, alone: list[LogId], untaken: Mapping[LogId, str]) -> Synced:
    """What came and what went, from what a journal held before and holds after. Pure."""
    went = {log: number - after.unsent.get(log, 0) for log, number in before.unsent.items()}
    came = {log: number - before.placed.get(log, 0) - went.get(log, 0) for log, number in after.placed.items()}
    return Synced(
        sessions,
        {log: number for log, number in came.items() if number > 0},
        {log: number for log, number in went.items() if number > 0},
        tuple(alone),
        sum(after.unsent.get(log, 0) for log in untaken),
        next(iter(untaken.values()), ""),
    )


def _meant(line: Line, known: list[SessionShape], typed: str) -> LogId:
    """A session as it was typed: one this journal has, or by its code one that only the relay has."""
    here = resolve.sessions(line.journal, line.roster)
    try:
        return resolve.session(here, typed, me=line.member.id, reading=True).log
    except UsageError:
        for each in known:
            if spoken(typed) in {session_code(each.log), each.log}:
                return LogId(each.log)
        raise


def _concerning(line: Line, known: list[SessionShape]) -> set[LogId]:
    """Sessions that this journal has, or this member has opened, of those the relay shows."""
    me = line.member.id
    mine = {LogId(each.log) for each in known if (opener := line.roster.member(each.opener)) and opener.id == me}
    return {LogId(each.log) for each in known if each.log in mine or line.journal.length(each.log)}


def _differing(line: Line, known: list[SessionShape]) -> list[LogId]:
    """Those that are not as long here as at the relay, or closed and not attested to their end; the oldest first."""
    concern = _concerning(line, known)
    return [
        LogId(each.log)
        for each in reversed(known)
        if each.log in concern
        and (line.journal.length(each.log) != each.seq or (each.closed and not _attested(line, each)))
    ]


def _attested(line: Line, each: SessionShape) -> bool:
    """Whether relay and endpoint have signed how it ends."""
    said = [read_checkpoint(mark.statement) for mark in line.journal.checkpoints(each.log)]
    return len({mark.key for mark in said if mark.seq >= each.seq}) > 1
