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
    from caisey_cli.resolve import Known
    from caisey_cli.transcript import Transcript, Work


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(endpoints)
    app.command()(sessions)


def desk(home: Path | None, json: bool) -> int:
    """What is mine to do: open sessions, what waits for me, what owes a verification."""
    from caisey_cli.founding import due

    with shelf.at(home) as at:
        mine, waiting = [], []
        for known in at.known():
            if known.closed or known.unreadable:
                continue
            transcript = at.transcript(at.journal.entries(known.log))
            if known.opener == at.me:
                mine.append((known, transcript))
            waiting += [(known, transcript, work) for work in transcript.works.values() if _for_me(at, known, work)]
        unsent = len(at.journal.unsent())
        membership = at.membership
    if json:
        shown = {
            "workspace": at.roster.name,
            "member": membership.member_name if membership else "",
            "sessions": [_known_shape(k) | {"owes_verification": t.unverified_change} for k, t in mine],
            "approvals": [{"request": _code(w), "session": k.code, "endpoint": k.endpoint} for k, _, w in waiting],
            "unsent": unsent,
            "roster_expires": at.roster.expires,
        }
        as_json("desk", shown)
        return 0
    say(f"{inert(at.roster.name)}, {inert(membership.member_name if membership else '')}")
    for known, transcript in mine:
        data(f"open     {known.code}  {about(known)}{_owes(transcript)}")
    for known, transcript, work in waiting:
        from caisey_cli import wording

        data(
            f"decide   {_code(work)}  {about(known)}: {wording.command(work)} ({transcript.who(work.action.proposal)})"
        )
    if not mine and not waiting:
        say("Nothing is open and, as far as this journal knows, nothing waits for you ('caisey approvals' asks).")
    if unsent:
        say(f"{unsent} of your records have no receipt yet; the next command that connects offers them again.")
    if due(at.roster, _now()):
        say(f"The roster counts only until {_when(at.roster.expires)}. An admin types: caisey renew")
    return 0


def _for_me(at: Shelf, known: Known, work: Work) -> bool:
    """Whether an action waits for a decision that is mine to make; its window is the endpoint's to judge."""
    from caisey_core.lifecycle import Step

    held, member = work.action.held, at.roster.members.get(at.me)
    endpoint = at.roster.endpoints.get(known.endpoint_id)
    if work.action.step is not Step.HELD or held is None or held.quorum is None or member is None or endpoint is None:
        return False
    late = work.action.hold is not None and _now() > work.action.hold.received + held.window_ms
    return known.opener != at.me and member.role in held.quorum.roles and member.serves(endpoint.client) and not late


def _owes(transcript: Transcript) -> str:
    from caisey_core.lifecycle import Step

    words = ["owes a verification"] if transcript.unverified_change else []
    for work in transcript.works.values():
        if not work.action.step.over:
            verb = "waits for approval" if work.action.step is Step.HELD else str(work.action.step)
            words.append(f"{_code(work)} {verb}")
    return f": {', '.join(words)}" if words else ""


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


def _code(work: Work) -> str:
    from caisey_core.ids import request_code

    return request_code(work.action.digest)


def _when(ms: Any) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(int(ms) / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def _now() -> int:
    import time

    return int(time.time() * 1000)
