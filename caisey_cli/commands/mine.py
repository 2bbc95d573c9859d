"""What this home knows, read from the journal without a relay: `caisey` itself, `endpoints`, `sessions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli import shelf
from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.completions import completes
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_cli.shelf import Shelf, about

if TYPE_CHECKING:
    from caisey_cli.overview import Asked
    from caisey_cli.resolve import Known
    from caisey_cli.transcript import Transcript, Work


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(endpoints)
    app.command()(sessions)


def desk(home: Path | None, json: bool) -> int:
    """What is mine to do: open sessions, what waits for me, what owes a verification."""
    from caisey_cli import known as kept
    from caisey_cli.founding import due
    from caisey_cli.overview import heard

    now = _now()
    with shelf.at(home) as at:
        mine, waiting = _mine(at, now)
        unsent = len(at.journal.unsent())
        membership = at.membership
    last = kept.number(kept.read(str(at.home.path)), "heard")
    if json:
        shown = {
            "workspace": at.roster.name,
            "member": membership.member_name if membership else "",
            "sessions": [_known_shape(k) | {"owes_verification": t.unverified_change} for k, t in mine],
            "approvals": [_asked_shape(each) for each in waiting],
            "unsent": unsent,
            "roster_expires": at.roster.expires,
            "heard": last or None,
        }
        as_json("desk", shown)
        return 0
    say(f"{inert(at.roster.name)}, {inert(membership.member_name if membership else '')}; {heard(last, now)}")
    _show(mine, waiting, now)
    if not mine and not waiting:
        say("Nothing is open and, as far as this journal knows, nothing waits for you ('caisey approvals' asks).")
    if waiting:
        say("caisey approve CODE and caisey deny CODE show the card first.")
    if unsent:
        say(f"{unsent} of your records have no receipt yet; the next command that connects offers them again.")
    if due(at.roster, now):
        days = (at.roster.expires - now) // 86_400_000
        say(f"The roster counts only until {_when(at.roster.expires)} ({days} days). An admin types: caisey renew")
    return 0


def _mine(at: Shelf, now: int) -> tuple[list[tuple[Known, Transcript]], list[Asked]]:
    """My open sessions, the newest first, and what waits for me, the most pressing first."""
    from caisey_cli.overview import Asked, left

    mine, waiting = [], []
    for known in at.known():
        if known.closed or known.unreadable:
            continue
        transcript = at.transcript(at.journal.entries(known.log, output=False))
        if known.opener == at.me:
            mine.append((known, transcript))
        waiting += [
            Asked(known, transcript, work, left(work.action, now))
            for work in transcript.works.values()
            if _for_me(at, known, work)
        ]
    return mine, sorted(waiting, key=lambda each: each.left)


def _show(mine: list[tuple[Known, Transcript]], waiting: list[Asked], now: int) -> None:
    from caisey_cli.overview import asked, fitted, opened

    rows = [row for each in waiting for row in asked(each, about(each.known))]
    rows += [row for known, transcript in mine for row in opened(known, transcript, about(known), now)]
    for line in fitted(rows, _width()):
        data(line)


def _width() -> int:
    """Columns of the terminal; where there is none, lines are not folded."""
    import os

    try:
        return max(40, os.get_terminal_size(1).columns)
    except OSError:
        return 10_000


def _for_me(at: Shelf, known: Known, work: Work) -> bool:
    """Whether an action waits for a decision that is mine to make; its window is the endpoint's to judge."""
    from caisey_core.lifecycle import Step

    held, member = work.action.held, at.roster.members.get(at.me)
    endpoint = at.roster.endpoints.get(known.endpoint_id)
    if work.action.step is not Step.HELD or held is None or held.quorum is None or member is None or endpoint is None:
        return False
    late = work.action.hold is not None and _now() > work.action.hold.received + held.window_ms
    return known.opener != at.me and member.role in held.quorum.roles and member.serves(endpoint.client) and not late


def _asked_shape(each: Asked) -> dict[str, Any]:
    from caisey_cli.card import command_line

    proposed = each.work.action.proposed
    return {
        "request": each.code,
        "session": each.known.code,
        "endpoint": each.known.endpoint,
        "class": each.risk,
        "command": command_line(proposed) if proposed else "",
        "requester": each.requester,
        "left_ms": each.left,
    }


# -- lists ------------------------------------------------------------------------------------------------


def endpoints(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the endpoints in your scope.

    Example: caisey endpoints
    """
    with shelf.at(home) as at:
        known = at.known()
        rows = []
        for each in at.scope():
            there = [one for one in known if one.endpoint_id == each.id]
            row: dict[str, Any] = {"name": each.name, "id": each.id, "key": each.key, "sessions": len(there)}
            row["open"] = sum(not one.closed for one in there)
            row["last"] = max((one.opened for one in there), default=None)
            rows.append(row)
    if json:
        as_json("endpoints", {"endpoints": rows})
        return
    width = max((len(inert(str(row["name"]))) for row in rows), default=0)
    for row in rows:
        when = f"last session {_when(row['last'])}" if row["last"] else "no session yet"
        still = f", {row['open']} open" if row["open"] else ""
        data(f"{inert(str(row['name'])):<{width}}  {when}{still}")
    if not rows:
        say("No endpoint is in your scope yet. An admin types: caisey invite endpoint --client C --name N")


def sessions(
    opened: Annotated[bool, typer.Option("--open", help="Only those that are not closed.")] = False,
    ticket: Annotated[
        str,
        typer.Option(
            "--ticket", metavar="T", help="Only those about this ticket.", autocompletion=completes("tickets")
        ),
    ] = "",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """List the sessions this home knows, the newest first.

    Example: caisey sessions --open
    """
    with shelf.at(home) as at:
        found = [each for each in at.known() if ticket.casefold() in {"", each.ticket.casefold()}]
        found = [each for each in found if not (opened and each.closed)]
    if json:
        as_json("sessions", {"sessions": [_known_shape(each) for each in found]})
        return
    for each in found:
        if each.unreadable:
            data(
                f"{each.code}  bad     {_when(each.opened)}  its first record cannot be read: caisey verify {each.code}"
            )
            continue
        state = "closed" if each.closed else "open"
        reason = f": {inert(each.reason)}" if each.reason else ""
        data(f"{each.code}  {state:<6}  {_when(each.opened)}  {about(each)} ({inert(each.opener_name)}){reason}")
    if not found:
        say("There is no such session in this home." if opened or ticket else "This home knows no session yet.")


def _known_shape(known: Known) -> dict[str, Any]:
    return {
        "session": known.code,
        "log": known.log,
        "endpoint": known.endpoint,
        "ticket": known.ticket,
        "reason": known.reason,
        "opener": known.opener_name,
        "opened": known.opened,
        "closed": known.closed,
        "unreadable": known.unreadable,
    }


def _when(ms: Any) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(int(ms) / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def _now() -> int:
    import time

    return int(time.time() * 1000)
