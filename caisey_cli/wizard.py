"""`caisey init` at a terminal: asks what founding a workspace takes, checks each answer, and writes nothing.

What was given as an option is not asked. The relay has to answer, and to show the key that `caisey-server run` printed.
Where the root key's backup goes is asked beside the rest, so that nobody founds a workspace without a thought of it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from caisey_cli import asking
from caisey_cli.home import ROOT, Home
from caisey_cli.keeping import Keys, choose, new_passphrase, say_where
from caisey_cli.output import say
from caisey_cli.sanitize import inert
from caisey_core.errors import UsageError

if TYPE_CHECKING:
    from caisey_core.api import RelayInfo
    from caisey_core.keys import Place

LOCAL: Final = "http://127.0.0.1:7777"
LATER: Final = "later"
_CLAIM: Final = 8


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said; empty where it said nothing."""

    name: str
    relay: str
    claim: str
    solo: bool
    member: str
    keys: Keys | None
    plain_text_on: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What founding takes. `backup`: where the root key's copy goes at once, under `passphrase`; None is later."""

    name: str
    solo: bool
    origin: str
    claim: str
    member: str
    place: Place
    backup: Path | None = None
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"Answers({self.name!r}, {self.origin!r})"


def ask(home: Home, given: Given) -> Answers:
    """Asks for what was not given. Raises `KeyboardInterrupt` where somebody leaves; nothing was written then."""
    say("A new workspace. Enter takes what stands in brackets; Ctrl-C leaves, and nothing is founded.\n")
    try:
        answers = _ask(home, given)
        say("")
        shown = "alone" if answers.solo else "with a team"
        say(f"{inert(answers.name)} ({shown}), by {inert(answers.member)}, on {answers.origin}")
        if not asking.yes("Found it", default=True):
            raise asking.Left
    except KeyboardInterrupt:
        say("\nNothing was founded, and nothing was written.")
        raise
    return answers


def _ask(home: Home, given: Given) -> Answers:
    from caisey_cli.founding import named

    login = os.environ.get("LOGNAME") or os.environ.get("USER") or "admin"
    name = given.name or asking.line(
        "Name of the workspace", f"{login.capitalize()} IT", lambda typed: named("workspace", typed, slash=True)
    )
    solo = given.solo
    if not solo:
        say("In a team, another member approves what changes something; alone, your own typed confirmation does.")
        solo = asking.choice("For a team or solo", ("team", "solo"), "team") == "solo"
    origin, info = _relay(home, given)
    # A relay that has this home's workspace already: an attempt whose end was not seen, which is finished now.
    claim = given.claim if given.claim or info.workspace else _claim(origin, info)
    member = given.member or asking.line("What others call you", login, lambda typed: named("member", typed))
    place = choose(home, given.keys)
    say_where(home, place)
    backup, passphrase = _backup(home)
    return Answers(name, solo, origin, claim, member, place, backup, passphrase)


# -- the relay --------------------------------------------------------------------------------------------


def origin_of(typed: str) -> str:
    """A relay's origin in one spelling; a scheme that was left out is TLS, but on this machine."""
    from caisey_core.connection import is_loopback

    text = typed.strip().rstrip("/")
    if "://" in text:
        return text
    host = urlsplit(f"//{text}").hostname or ""
    return f"{'http' if is_loopback(host) else 'https'}://{text}"


def _relay(home: Home, given: Given) -> tuple[str, RelayInfo]:
    from caisey_cli.relay import Relay
    from caisey_core.signing import fingerprint

    def check(typed: str) -> tuple[str, RelayInfo]:
        origin = origin_of(typed)
        with Relay(origin, plain_text_on=given.plain_text_on) as http:
            info = http.info()
        if info.workspace and info.workspace != own_root(home):
            raise UsageError(
                f"The relay {origin} serves a workspace already.",
                hint="Ask its admin for an invitation, or name another relay.",
            )
        say(f"  {origin} answers. Its key is")
        say(f"    relay {fingerprint(info.key)}")
        say("  and 'caisey-server run' printed that line on the relay's machine ('caisey-server status' does, too).")
        if not asking.yes("Is it the same there", default=False):
            raise UsageError(
                "Then it may be another's relay, or somebody is in between.", hint="Compare, or name another."
            )
        return origin, info

    if given.relay:
        return check(given.relay)
    return asking.line("The relay, as every machine reaches it", LOCAL, check)


def own_root(home: Home) -> str:
    """The fingerprint of a root key that an earlier attempt left in this home; empty where there is none."""
    from caisey_core.keys import public_of
    from caisey_core.signing import fingerprint, is_public_key

    public = public_of(home.path, ROOT)
    return fingerprint(public) if is_public_key(public) else ""


def _claim(origin: str, info: RelayInfo) -> str:
    local = local_claim(origin, info.key)
    known = " (Enter takes it from the relay's home on this machine)" if local else ""
    return asking.secret(f"The claim code that the relay printed{known}", claim_code, default=local)


def claim_code(typed: str) -> str:
    """A claim code that may be one. Raises `UsageError`."""
    from caisey_core.ids import spoken

    if len(spoken(typed)) != _CLAIM:
        raise UsageError(
            f"A claim code has {_CLAIM} letters and digits, such as 8qk4-tw7y.",
            hint="The relay keeps it in its home, in the file 'claim'.",
        )
    return typed


def local_claim(origin: str, relay_key: str) -> str:
    """The claim code of a relay on this machine that this account may read; empty where it is another's."""
    from caisey_core.connection import is_loopback
    from caisey_core.keys import public_of

    home = Path(os.environ.get("CAISEY_SERVER_HOME") or "~/.local/share/caisey-server").expanduser()
    if not is_loopback(urlsplit(origin).hostname or "") or public_of(home, "relay") != relay_key:
        return ""
    try:
        return (home / "claim").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


# -- the root key's backup --------------------------------------------------------------------------------


def _backup(home: Home) -> tuple[Path | None, str]:
    from caisey_core import keyfile

    say("The root key stands above every admin. If it is lost, there is no way back; a copy belongs on another medium.")

    def check(typed: str) -> Path | None:
        if typed.casefold() == LATER:
            return None
        path = Path(typed).expanduser().absolute()
        if path.is_relative_to(home.path.absolute()):
            raise UsageError("That is in this home itself.", hint="Name a place on another medium.")
        keyfile.free(path)
        return path

    path = asking.line(f"Where its backup goes (a new file, or '{LATER}')", LATER, check)
    return (path, new_passphrase(path)) if path is not None else (None, "")


# -- afterwards -------------------------------------------------------------------------------------------


def next_commands(name: str, home: str) -> list[str]:
    """Three commands to type next: this machine as the first endpoint, so that all of them work as they stand.

    `home`: the option that was typed, or nothing.
    """
    import shlex

    machine = socket.gethostname().partition(".")[0] or "first"
    option = f" --home {shlex.quote(home)}" if home else ""
    return [
        f"caisey invite endpoint{option} --client {shlex.quote(name.replace('/', '-'))} --name {shlex.quote(machine)}",
        "caisey-agent join INVITATION && caisey-agent install",
        f"caisey run{option} {shlex.quote(machine)} -- uptime",
    ]
