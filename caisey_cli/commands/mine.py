"""What this home knows, read from the journal without a relay: `caisey` itself, `endpoints`, `sessions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli import shelf
from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.completions import completes
from caisey_cli.output import as_json, data, say
from caisey_cli.remembering import CLONED
from caisey_cli.sanitize import inert
from caisey_cli.shelf import Shelf, about

if TYPE_CHECKING:
    from caisey_cli.overview import Asked
    from caisey_cli.resolve import Known
    from caisey_cli.transcript import Transcript, Work
    from caisey_core.roster import Endpoint


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(endpoints)
    app.command()(sessions)


def desk(home: Path | None, json: bool) -> int:
    """What is mine to do: open sessions, what waits for me, what owes a verification."""
    from caisey_cli import known as kept
    from caisey_cli import seconding
    from caisey_cli.founding import due
    from caisey_cli.overview import heard

    now = _now()
    with shelf.every(home) as shelves:
        found = [_mine(at, now) for at in shelves]
        mine = [each for some, _ in found for each in some]
        waiting = sorted((each for _, some in found for each in some), key=lambda each: each.left)
        changes = [each for at in shelves for each in seconding.waiting(at.roster, at.roster.members.get(at.me), now)]
        unsent = sum(len(at.journal.unsent()) for at in shelves)
    rosters, membership = [at.roster for at in shelves], shelves[0].membership
    last = max(kept.number(kept.read(str(at.home.path)), "heard") for at in shelves)
    if json:
        shown = {
            "workspace": rosters[0].name,
            "member": membership.member_name if membership else "",
            "sessions": [_known_shape(known) | _owed_shape(transcript) for known, transcript in mine],
            "approvals": [_asked_shape(each) for each in waiting],
            "changes": [{"request": each.code, "does": each.does, "own": each.own} for each in changes],
            "unsent": unsent,
            "roster_expires": rosters[0].expires,
            "heard": last or None,
        }
        as_json("desk", shown)
        return 0
    beside = f"; beside it {inert(rosters[1].name)}, this machine's own" if len(rosters) > 1 else ""
    who = inert(membership.member_name if membership else "")
    say(f"{inert(rosters[0].name)}, {who}{beside}; {heard(last, now)}")
    _show(mine, waiting, now)
    for each in changes:
        word = "asked  " if each.own else "decide "
        data(f"{word}  {each.code}  workspace: {each.does}{'' if each.own else f' ({each.requester})'}")
    if not mine and not waiting and not changes:
        say("Nothing is open and, as far as this journal knows, nothing waits for you ('caisey approvals' asks).")
    if waiting:
        say("caisey approve CODE and caisey deny CODE show the card first.")
    if unsent:
        say(f"{unsent} of your records have no receipt yet; the next command that connects offers them again.")
    if due(rosters[0], now):
        days = (rosters[0].expires - now) // 86_400_000
        until = f"{_when(rosters[0].expires)} ({days} days)"
        say(f"The roster counts only until {until}. Any command of an admin renews it: caisey renew")
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


def _owed_shape(transcript: Transcript) -> dict[str, Any]:
    from caisey_cli import questions

    asked = [{"question": questions.code(each), "text": questions.text(each)} for each in transcript.session.unanswered]
    return {"owes_verification": transcript.unverified_change, "questions": asked}


# -- lists ------------------------------------------------------------------------------------------------


def endpoints(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the endpoints in your scope.

    Example: caisey endpoints
    """
    rows: list[dict[str, Any]] = []
    with shelf.every(home) as shelves:
        for at in shelves:
            known, cloned = at.known(), at.journal.setting(CLONED).split()
            for each in at.scope():
                there = [one for one in known if one.endpoint_id == each.id]
                rows.append(_endpoint(each, there) | {"cloned": each.id in cloned})
    if json:
        as_json("endpoints", {"endpoints": rows})
        return
    width = max((len(inert(str(row["name"]))) for row in rows), default=0)
    for row in rows:
        when = f"last session {_when(row['last'])}" if row["last"] else "no session yet"
        still = f", {row['open']} open" if row["open"] else ""
        twice = "; several machines use its key, nothing is run" if row["cloned"] else ""
        data(f"{inert(str(row['name'])):<{width}}  {when}{still}{twice}")
    if not rows:
        say("No endpoint is in your scope yet. An admin types: caisey invite endpoint --client C --name N")


def _endpoint(endpoint: Endpoint, there: list[Known]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": endpoint.name, "id": endpoint.id, "key": endpoint.key, "sessions": len(there)}
    row["open"] = sum(not one.closed for one in there)
    row["last"] = max((one.opened for one in there), default=None)
    return row


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
    with shelf.every(home) as shelves:
        listed = sorted((each for at in shelves for each in at.known()), key=lambda each: each.opened, reverse=True)
        found = [each for each in listed if ticket.casefold() in {"", each.ticket.casefold()}]
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

    try:
        return datetime.fromtimestamp(int(ms) / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # what no calendar holds here: a relay may say it
        return f"{ms} ms"


def _now() -> int:
    import time

    return int(time.time() * 1000)
