"""`caisey-agent`: joins an endpoint to a workspace, serves it, and says which workspace that is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from caisey_agent import administration
from caisey_agent.administration import HomeOption
from caisey_core import logs
from caisey_core.checkup import plain
from caisey_core.errors import CaiseyError, Exit
from caisey_core.logs import Format, Level, Teller

app = typer.Typer(
    help="The endpoint's program: outbound connection only, runs nothing that is not approved.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command()
def join(
    invitation: Annotated[str, typer.Argument(help="What 'caisey invite endpoint' printed; - reads standard input.")],
    home: HomeOption = None,
    plain_text_on: Annotated[str, typer.Option(metavar="HOST", help="Allow http:// to this very host.")] = "",
    use_keyring: Annotated[bool, typer.Option("--keyring", help="Keep the key in the keyring, not in a file.")] = False,
) -> None:
    """Join a workspace with an invitation; it pins the workspace's root key.

    Example: caisey-agent join caisey-endpoint-lqdodHRw...
    """
    import asyncio
    import platform

    from caisey_agent.home import KEY, AgentHome, Membership
    from caisey_core import enrolment, keyring, keys
    from caisey_core.errors import Refused, UsageError
    from caisey_core.kinds import MemberInvited
    from caisey_core.signing import SigningKey, fingerprint

    own = AgentHome.of(home)
    if (own.path / "membership.json").exists():
        raise UsageError(
            f"The agent in {own.path} has joined a workspace already; nothing was changed.",
            hint="Type: caisey-agent status",
        )
    text = sys.stdin.read() if invitation == "-" else invitation
    decoded = enrolment.decode("endpoint", text)
    earlier = keys.load(own.path, KEY) if keys.exists(own.path, KEY) else None
    if earlier is None and use_keyring and (why := keyring.trouble()):
        raise keys.no_keyring(why, hint="To keep the key in a file that only its owner can read, leave --keyring out.")

    def device() -> SigningKey:
        """Kept before the invitation is used, so that no answer that is lost leaves an admission without a key."""
        if earlier is None:
            place = keys.Place.KEYRING if use_keyring else keys.Place.FILE
            keys.keep(own.path, KEY, SigningKey.generate(), place)
        return keys.load(own.path, KEY)

    work = enrolment.join(
        "endpoint", decoded, device, earlier=earlier, machine=platform.node(), plain_text_on=plain_text_on
    )
    try:
        joined = asyncio.run(work)
    except (UsageError, Refused):
        if earlier is None:
            keys.forget(own.path, KEY)
        raise
    if isinstance(joined.invited, MemberInvited):
        raise UsageError("This invitation is not for an endpoint; nothing was joined.")
    key = keys.load(own.path, KEY)
    with own.journal() as journal:
        journal.place(joined.log)
    own.moved()
    own.keep(
        Membership(
            v=1,
            workspace=joined.roster.fingerprint,
            workspace_name=joined.roster.name,
            roster=joined.roster.log or "",
            relay=joined.origin,
            endpoint=joined.admission.digest,
            client=joined.invited.client,
            name=joined.name,
            plain_text_on=plain_text_on,
        )
    )
    print(f"workspace  {plain(joined.roster.name)}")
    print(f"root       {joined.roster.fingerprint}")
    for relay, added in joined.roster.relays.items():
        print(f"relay      {plain(added.url)} {fingerprint(relay)}")
    print(f"endpoint   {plain(joined.name)} {fingerprint(key.public)}")
    print(f"home       {own.path}")
    sys.stdout.flush()
    where = "the keyring" if use_keyring else f"{own.path / KEY}.key, which only its owner can read"
    print(f"Its key is kept in {where}.", file=sys.stderr)
    print(
        "Compare the root's fingerprint with what 'caisey invite endpoint' showed whoever invited you.", file=sys.stderr
    )
    print("If it is the same, type: caisey-agent install (or, for now: caisey-agent run)", file=sys.stderr)


@app.command()
def run(
    home: HomeOption = None,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Written when the relay has been reached for the first time.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")] = False,
    relay: Annotated[
        str, typer.Option(metavar="URL", help="Where the relay is reached now, if not where it was at joining.")
    ] = "",
    log_format: Annotated[Format, typer.Option(help="Lines for people, or one JSON object a line.")] = Format.TEXT,
    log_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Gets the lines, instead of standard error; at most twice 128 KiB are kept."),
    ] = None,
) -> None:
    """Serve this endpoint until stopped; reconnects by itself.

    Example: caisey-agent run
    """
    import asyncio
    import os
    import signal

    from caisey_agent import notify, probes
    from caisey_agent.home import AgentHome
    from caisey_agent.serving import serve

    logs.set_up(log_format, Level.INFO if verbose else Level.WARNING, log_file)
    own = AgentHome.of(home)
    own.membership()
    lock = own.lock()
    own.on_this_machine()

    manager = notify.Manager()

    def ready() -> None:
        manager.ready()
        if ready_file is not None and not ready_file.exists():
            temporary = ready_file.with_name(ready_file.name + ".new")
            temporary.write_text(f"{os.getpid()}\n")
            temporary.replace(ready_file)

    async def until_stopped() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(serve(own, manager, on_ready=ready, relay=relay))
        counting = asyncio.create_task(probes.keep_counting())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            pass
        finally:
            counting.cancel()

    try:
        asyncio.run(until_stopped())
    finally:
        manager.stopping()
        os.close(lock)


@app.command()
def status(
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Say which workspace this endpoint has joined; compare the root's fingerprint with your MSP's.

    Example: caisey-agent status --json
    """
    import json

    from caisey_agent.home import POLICY_KNOWN, AgentHome
    from caisey_core.journal import Journal
    from caisey_core.policyfile import in_force
    from caisey_core.record import parse
    from caisey_core.roster import Roster
    from caisey_core.signing import fingerprint

    own = AgentHome.of(home)
    member = own.membership()
    roster = Roster()
    with Journal.read(own.path / "journal.db") as journal:
        for entry in journal.entries(member.roster):
            roster.apply(parse(entry.sealed), entry.receipt.received)
        sessions = len(journal.logs("session.opened"))
        policy = in_force(roster, int(journal.setting(POLICY_KNOWN) or 0))
    shown = {
        "v": 1,
        "kind": "agent.status",
        "workspace": member.workspace_name,
        "root": member.workspace,
        "endpoint": member.name,
        "key": fingerprint(own.key().public),
        "relay": member.relay,
        "roster": roster.version,
        "policy": policy.label,
        "policy_error": policy.broken,
        "solo": roster.solo,
        "sessions": sessions,
        "running": own.running(),
    }
    if as_json:
        print(json.dumps(shown))
        return
    print(f"workspace  {plain(member.workspace_name)}{' (solo)' if roster.solo else ''}")
    print(f"root       {member.workspace}")
    for key, added in roster.relays.items():
        print(f"relay      {plain(added.url)} {fingerprint(key)}")
    print(f"endpoint   {plain(member.name)} {shown['key']}")
    print(f"home       {own.path}")
    print(f"roster     version {roster.version}")
    print(f"policy     {plain(policy.label)}{': ' + plain(policy.broken) if policy.broken else ''}")
    print(f"sessions   {shown['sessions']}")
    print(f"running    {'yes' if shown['running'] else 'no'}")


@app.command()
def moved(home: HomeOption = None) -> None:
    """Say that this home belongs to this machine now, and that no other one uses its key any more.

    Example: caisey-agent moved
    """
    from caisey_agent.home import AgentHome
    from caisey_core.errors import UsageError

    own = AgentHome.of(home)
    member = own.membership()
    if own.running():
        raise UsageError(f"An agent runs in {own.path}; nothing was changed.", hint="Stop it first.")
    own.moved()
    print(
        f"{plain(member.name)} is this machine now. If another one uses its key as well, the relay serves neither.",
        file=sys.stderr,
    )


administration.register(app)


def main() -> None:
    """The console script."""
    try:
        app(standalone_mode=True)
    except CaiseyError as error:
        said = f"{error} {error.hint}".strip()
        if logs.structured():
            Teller(__name__).error("agent.failed", said)
        else:
            print(plain(said), file=sys.stderr)  # an invitation, or a relay, may have worded it
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(Exit.USAGE) from None


if __name__ == "__main__":
    main()
