"""`caisey`: the table of commands.

A command's module is imported when the command is typed; `--help` reads the table. TAB, prompts and a view that is
simply asked for do not come here (`start`). How each command ends is `ending`'s.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup

from caisey_cli.coercing import lighten
from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.ending import ended
from caisey_core.errors import Exit, UsageError

if TYPE_CHECKING:
    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter


@dataclass(frozen=True, slots=True)
class Row:
    """A command: its name, the module in `caisey_cli.commands` that registers it, and its line in the help.

    `invite endpoint` is a command of the group `invite`.
    """

    name: str
    module: str
    help: str


TABLE: Final[dict[str, tuple[Row, ...]]] = {
    "Work": (
        Row("connect", "connect", "Open or resume a session on the full screen."),
        Row("watch", "connect", "Follow a session on the full screen, read-only."),
        Row("run", "session", "Run one command on an endpoint."),
        Row(
            "request",
            "session",
            "Ask for a command to be approved, print the request's code and return: run --no-wait.",
        ),
        Row("check", "session", "Verify: run a command and hold what it shows against what is expected."),
        Row("note", "words", "Add an annotation to a session."),
        Row("find", "words", "Mark a finding or the cause; the ticket note claims no other."),
        Row(
            "ask",
            "words",
            "Ask a question in a session and print its code; it stays open, in its note too, until it is answered.",
        ),
        Row("answer", "words", "Answer a question of a session, or say why it stays open."),
        Row(
            "close",
            "session",
            "Close a session: its checks are run again, then its record is attested by relay and agent.",
        ),
        Row("sync", "sync", "Fetch what is missing in this journal, and offer what was never acknowledged."),
    ),
    "Decide": (
        Row("approvals", "approvals", "List what waits for another member's approval; --watch goes on, and rings."),
        Row("approve", "approvals", "Approve one request, having been shown exactly what would run or change."),
        Row("deny", "approvals", "Deny one request; it will not run, or change nothing."),
    ),
    "Read (offline)": (
        Row("status", "status", "Say what is open and what waits; --short for a shell's prompt."),
        Row("endpoints", "mine", "List the endpoints in your scope."),
        Row("sessions", "mine", "List the sessions this home knows, the newest first."),
        Row("search", "search", "Search every session on record: what was typed, and what came back."),
        Row("show", "reading", "Show a session as its records tell it."),
        Row("export", "reading", "Write a session's ticket note from its records."),
        Row("verify", "reading", "Check a session's records, from their stored bytes."),
    ),
    "Policy": (
        Row("policy explain", "policy", "Say how a command is judged, by which rule and why; nothing is run."),
        Row("policy show", "policy", "Print the policy in force, or the one that comes with the program."),
        Row("policy check", "policy", "Check a policy file: its keys, its names, and every rule by its examples."),
        Row(
            "policy rehearse",
            "policy",
            "Judge what was really asked for by another policy, and print what would change; nothing is run.",
        ),
        Row(
            "policy publish",
            "policy",
            "Publish a policy, by the root key where it is at hand, else with another admin's approval.",
        ),
    ),
    "Workspace": (
        Row("init", "init", "Found a workspace on a relay; you become its first admin."),
        Row(
            "invite endpoint",
            "invitations",
            "Invite a machine: prints what is pasted there, once, into 'caisey-agent join'.",
        ),
        Row(
            "invite member",
            "invitations",
            "Invite a member, by the root key where it is at hand, else with another admin's approval.",
        ),
        Row(
            "invitations",
            "invitations",
            "List invitations in your scope and what became of them, as the journal has it.",
        ),
        Row("rotate", "invitations", "Take an invitation back and print the same again with a new secret."),
        Row("revoke", "invitations", "Take an invitation back that has not been used."),
        Row("members", "members", "List the workspace's members, also those who were removed."),
        Row("remove", "members", "Remove a member, and what they invited; or an endpoint."),
        Row(
            "audit",
            "audit",
            "List logins and invitations that the relay refused, the newest first; for admins of every client.",
        ),
        Row(
            "renew",
            "workspace",
            "Make the roster count for another 90 days; every command of an admin does so by itself.",
        ),
        Row(
            "root backup",
            "root",
            "Write the root key to a file under a passphrase, and read it back; never writes over one.",
        ),
        Row(
            "root remove",
            "root",
            "Take the root key out of this home, once its backup has been opened and holds the same key.",
        ),
        Row("join", "workspace", "Join a workspace as a member, with the invitation somebody sent you."),
        Row("doctor", "doctor", "Check home, keys, clock, relay, journal and roster, and say what to type."),
        Row(
            "local status",
            "local",
            "Show what there is of this machine's own workspace: relay, agent, journals, fingerprint.",
        ),
        Row(
            "local stop",
            "local",
            "Stop this machine's own relay and agent; the records stay, and 'local' starts them again.",
        ),
        Row("demo", "demo", "Play the whole job on this machine, with real programs and a real fault."),
    ),
}


def rows() -> dict[str, Row]:
    """Every command by its full name."""
    return {row.name: row for part in TABLE.values() for row in part}


class Table(TyperGroup):
    """The commands of the table; one is made when it is typed."""

    def list_commands(self, ctx: Context) -> list[str]:
        """Names in the table's order; a group stands where its first command does."""
        del ctx
        return list(dict.fromkeys(name.partition(" ")[0] for name in rows()))

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """A command, or None where the table has none. Imports its module."""
        del ctx
        row = next((row for name, row in rows().items() if name.partition(" ")[0] == cmd_name), None)
        if row is None:
            return None
        app = _typer()
        app.callback()(_nothing)
        import_module(f"caisey_cli.commands.{row.module}").register(app)
        group: Any = typer.main.get_command(app)
        made: Command | None = group.commands.get(cmd_name)
        return lighten(made) if made is not None else None

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The command that was typed. Raises `UsageError` for none, with what may have been meant."""
        if not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(ctx), n=2)
            hint = f"Did you mean {' or '.join(close)}?" if close else "Type: caisey --help"
            raise UsageError(f"There is no command {args[0]!r}. Nothing was done.", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """The table, without importing what is in it."""
        del ctx
        width = max(len(name) for name in rows())
        for title, part in TABLE.items():
            with formatter.section(title):
                formatter.write_dl([(row.name.ljust(width), row.help) for row in part])


def _typer(**settings: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def _nothing() -> None:
    """A group does nothing by itself."""


def build() -> typer.Typer:
    """The program."""
    app = _typer(
        cls=Table,
        help="Work on your clients' computers: every command judged, approved, signed and kept.\n\n"
        "Without a command: your desk, from the journal.",
        epilog="Example: caisey run ACME/front-desk-03 --ticket 48211 -- df -h",
    )
    app.callback(invoke_without_command=True)(desk)
    return app


def desk(
    ctx: typer.Context,
    home: HomeOption = None,
    json: JsonOption = False,
    version: bool = typer.Option(False, "--version", help="Say which version this is.", show_default=False),
) -> int | None:
    """My desk."""
    if home is not None:
        os.environ["CAISEY_HOME"] = str(Path(home).expanduser())
    if version:
        from caisey_cli.output import as_json, data
        from caisey_core import __version__

        as_json("version", {"version": __version__}) if json else data(f"caisey {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is not None:
        return None
    from caisey_cli.commands.mine import desk as mine

    return mine(home, json)


# -- what was typed ---------------------------------------------------------------------------------------


def status(arguments: list[str]) -> int:
    """Runs what was typed; its exit status."""
    return ended(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    from caisey_cli import output
    from caisey_cli.sanitize import inert

    command = lighten(typer.main.get_command(build()))
    try:
        result = command.main(arguments, prog_name="caisey", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "caisey"
        output.say(inert(f"{error.format_message().rstrip('.')}. Nothing was done."))
        output.say(f"Type: {path} --help")
        return int(Exit.USAGE)
    return result if isinstance(result, int) else 0
