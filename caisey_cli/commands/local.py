"""`caisey local`: what there is of this machine's own workspace, and an end to what runs of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import YesOption
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert

if TYPE_CHECKING:
    from caisey_cli.local import Local, Program

_COMMAND: Final = 60
NONE: Final = "This machine has no workspace of its own in {path}. Set one up, and work in it: caisey connect local"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(rich_markup_mode=None, help="This machine's own workspace: what runs, and an end to it.")
    group.command("status")(status)
    group.command("stop")(stop)
    app.add_typer(group, name="local")


def status(home: HomeOption = None, json: JsonOption = False) -> None:
    """Show what there is of this machine's own workspace: relay, agent, journals, fingerprint.

    Nothing is started. Relay and agent run until they are stopped or the machine is; whatever names 'local' starts them
    again.

    Example: caisey local status
    """
    from caisey_cli.commands import places

    local = _local(home)
    told: dict[str, Any] = {
        "founded": local.founded,
        "home": str(local.path),
        "workspace": None,
        "root": None,
        "solo": None,
        "endpoint": None,
        "account": places.account(),
        "keys": None,
        "relay": _program(local.relay),
        "agent": _program(local.agent),
        "journals": [],
        "actions": [],
    }
    if local.founded:
        roster, membership = local.home.roster(), local.home.membership()
        told |= {
            "workspace": roster.name,
            "root": roster.fingerprint,
            "solo": roster.solo,
            "endpoint": next((each.name for each in roster.endpoints.values()), None),
            "keys": "file" if (local.path / "device.key").exists() else "keyring",
            "relay": told["relay"] | {"address": membership.relay},
            "journals": [_journal(of, where) for of, where in _journals(local).items()],
            "actions": _active(local),
        }
    if json:
        as_json("local", told)
    elif local.founded:
        _tell(local, told)
    else:
        say(NONE.format(path=local.path))


def stop(yes: YesOption = False, home: HomeOption = None, json: JsonOption = False) -> int:
    """Stop this machine's own relay and agent; the records stay, and 'local' starts them again.

    What an action that runs does is ended; its record says so, or that its end is unknown.

    Example: caisey local stop
    """
    from caisey_core.errors import UsageError

    local = _local(home)
    active = _active(local)
    for each in active:
        say(f"{each['request']} {each['step']}: {inert(each['command'])[:_COMMAND]}")
    if active and not yes:
        if not _attended():
            raise UsageError(
                f"Not stopped: {len(active)} of its actions are not over yet.",
                hint="Wait for them, or type: caisey local stop --yes",
            )
        if not typer.confirm("Stop it all the same? What runs is ended.", err=True):
            say("Nothing was stopped.")
            return 1
    stopped: list[str] = []
    if local.path.exists():
        with local.turn(say):
            stopped = local.stop(on_purpose=True)
    if json:
        as_json("stopped", {"home": str(local.path), "stopped": stopped, "actions": active})
    elif stopped:
        say(f"Stopped: {' and '.join(stopped)}. The records stay; whatever names 'local' starts them again.")
    else:
        say("Nothing ran.")
    return 0


def _local(home: Path | None) -> Local:
    from caisey_cli.home import Home
    from caisey_cli.local import Local

    return Local(Home.named(home).local)


def _attended() -> bool:
    import os

    return os.isatty(0) and os.isatty(2)


def _program(which: Program) -> dict[str, Any]:
    pid = which.pid
    return {"running": bool(pid), "pid": pid if pid > 0 else None, "since": which.since, "log": str(which.log)}


def _journals(local: Local) -> dict[str, Path]:
    return {
        "you": local.home.database.absolute(),
        "relay": local.relay.home / "journal.db",
        "agent": local.agent.home / "journal.db",
    }


def _journal(of: str, path: Path) -> dict[str, Any]:
    files = [path, path.with_name(f"{path.name}-wal")]
    return {"of": of, "path": str(path), "bytes": sum(each.stat().st_size for each in files if each.exists())}


def _active(local: Local) -> list[dict[str, str]]:
    """What the agent's own journal says is not over, where the agent runs."""
    from caisey_cli import shelf, wording
    from caisey_core.ids import request_code

    if not local.founded or not local.agent.pid:
        return []
    found = []
    with shelf.at(local.home.path, _journals(local)["agent"]) as at:
        for known in at.known():
            entries = [] if known.closed or known.unreadable else at.journal.entries(known.log, output=False)
            for digest, work in at.transcript(entries).works.items():
                if not work.action.step.over:
                    command = wording.command(work)
                    told = {"request": request_code(digest), "session": known.code}
                    found.append(told | {"step": work.action.step.value, "command": command})
    return found


def _tell(local: Local, told: dict[str, Any]) -> None:
    from caisey_cli.commands.places import LESS

    data(f"workspace  {inert(told['workspace'])}{' (solo)' if told['solo'] else ''}")
    data(f"root       {told['root']}")
    data(f"endpoint   {inert(told['endpoint'])}; commands run as {told['account']}")
    for name in ("relay", "agent"):
        each = told[name]
        at = f", {each['address']}" if each.get("address") else ""
        data(f"{name:<10} {_running(each)}{at}")
    for each in told["journals"]:
        data(f"journal    {_size(each['bytes']):>9}  {each['path']} ({each['of']})")
    for each in told["actions"]:
        data(f"action     {each['request']} {each['step']}: {inert(each['command'])[:_COMMAND]}")
    if told["keys"] == "file":
        say(f"Keys lie in files in {local.path} that only you can read.")
    if told["solo"]:
        say(f"Solo: you propose and you confirm, and the note says so. {LESS}")


def _running(told: dict[str, Any]) -> str:
    from datetime import datetime

    if not told["running"]:
        return "not running"
    since = told["since"]
    when = f" since {datetime.fromtimestamp(since / 1000).astimezone():%Y-%m-%d %H:%M:%S}" if since else ""
    return f"running{when}{f', process {pid}' if (pid := told['pid']) else ''}"


def _size(number: int) -> str:
    return f"{number / 1024:.0f} KiB" if number < 1 << 20 else f"{number / (1 << 20):.1f} MiB"
