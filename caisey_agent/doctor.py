"""What `caisey-agent doctor` looks at on an endpoint; what all programs share is `caisey_core.probing`'s."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from caisey_agent import service
from caisey_agent.home import KEY, MOVED, POLICY_KNOWN, AgentHome, Membership
from caisey_agent.installing import Place
from caisey_core import keys, probing, reaching
from caisey_core.checkup import Check, Finding, failed, ok, warning
from caisey_core.journal import Journal
from caisey_core.policyfile import in_force
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey, fingerprint

SHELLS: Final = ("/bin/sh", "/bin/bash")
_SECONDS: Final = 5


@dataclass(slots=True)
class Seen:
    """What earlier checks have found for later ones."""

    membership: Membership | None = None
    key: SigningKey | None = None
    roster: Roster | None = None


def checks(home: AgentHome, *, user: bool) -> list[Check]:
    """Everything there is to look at, in an order in which causes come before what they cause."""
    seen = Seen()
    return [
        Check("home", partial(probing.directory, home.path)),
        Check("workspace", partial(_membership, home, seen)),
        Check("machine", partial(_machine, home, seen)),
        Check("keyring", partial(_keyring, Place(home, user))),
        Check("key", partial(_key, Place(home, user), seen), seconds=45),
        Check("journal", partial(probing.journal, home.path / "journal.db"), seconds=60),
        Check("roster", partial(_roster, home, seen), seconds=60),
        Check("policy", partial(_policy, home, seen)),
        Check("relay", partial(_relay, seen), seconds=30),
        Check("shell", _shell),
        Check("service", partial(_service, home, user)),
        Check("running", partial(_running, home)),
    ]


def _membership(home: AgentHome, seen: Seen) -> Iterator[Finding]:
    seen.membership = home.membership()
    at = seen.membership
    yield ok("workspace", f"{at.workspace_name} as {at.name}, {at.workspace}")


def _machine(home: AgentHome, seen: Seen) -> Iterator[Finding]:
    """Whether this is the machine whose key this is."""
    if seen.membership is not None and (other := home.elsewhere()):
        yield failed("machine", f"this home was set up on another machine (another {other})", MOVED)


def _keyring(place: Place) -> Iterator[Finding]:
    home = place.home
    if _handed(place) is None and keys.exists(home.path, KEY) and keys.place_of(home.path, KEY) is keys.Place.KEYRING:
        yield from probing.keyring_backend(True)
        yield warning("keyring", "a service has no session to open it in", "Join anew without --keyring.")


def _key(place: Place, seen: Seen) -> Iterator[Finding]:
    home = place.home
    if not keys.exists(home.path, KEY) and seen.membership is None:
        return
    if (handed := _handed(place)) is None:
        seen.key = home.key()
        yield from probing.key(home.path, KEY, seen.key)
        return
    seen.key = keys.read(handed)
    if seen.key.public == keys.public_of(home.path, KEY):
        yield ok("key", f"{fingerprint(seen.key.public)} in {handed}, handed to the service")
    else:
        text = f"{handed}, which the service is handed, is not of this endpoint's key"
        yield failed("key", text, "Type: caisey-agent install --key-file FILE")


def _handed(place: Place) -> Path | None:
    """The key file that the service's unit hands over, where it does."""
    try:
        lines = place.unit.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    start = f"LoadCredential={service.CREDENTIAL}:"
    found = [line.removeprefix(start).replace("%%", "%") for line in lines if line.startswith(start)]
    return Path(found[0]) if found else None


def _roster(home: AgentHome, seen: Seen) -> Iterator[Finding]:
    if seen.membership is None:
        return
    roster, findings = probing.roster(home.path / "journal.db", seen.membership.roster, seen.membership.workspace)
    yield from findings
    # Bodies of admissions are withheld from endpoints: whether this key is still admitted, the login shows.
    if roster.fingerprint == seen.membership.workspace:
        seen.roster = roster


def _policy(home: AgentHome, seen: Seen) -> Iterator[Finding]:
    if seen.roster is None:
        return
    with Journal.look(home.path / "journal.db") as journal:
        known = int(journal.setting(POLICY_KNOWN) or 0)
    yield from probing.policy(in_force(seen.roster, known))


def _relay(seen: Seen) -> Iterator[Finding]:
    if seen.membership is None:
        return
    at, known = seen.membership, seen.roster.relays if seen.roster else {}
    relays = {str(key): each.url for key, each in known.items()}
    yield from reaching.relay(at.relay, at.plain_text_on, at.workspace, relays, seen.key)


def _shell() -> Iterator[Finding]:
    """The shells that actions run in do run."""
    for shell in SHELLS:
        if not Path(shell).exists():
            needed = shell == SHELLS[0]
            text = f"{shell} is not there"
            yield failed("shell", text, "Scripts cannot run here.") if needed else ok("shell", text)
            continue
        done = subprocess.run(
            [shell, "-c", "exit 7"],
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode == 7:
            yield ok("shell", f"{shell} runs")
        else:
            yield failed("shell", f"{shell} does not run: status {done.returncode}", f"Type: {shell} -c true")


def _service(home: AgentHome, user: bool) -> Iterator[Finding]:
    place = Place(home, user)
    install = "Type: caisey-agent install"
    try:
        text = place.unit.read_text()
    except FileNotFoundError:
        yield warning("service", "none is installed; the agent serves only while somebody runs it", install)
        return
    line = next((each for each in text.splitlines() if each.startswith("ExecStart=")), "")
    start = line.removeprefix("ExecStart=").split(" ")[0]
    if not text.startswith(service.MARK):
        yield warning("service", f"{place.unit} was not written by caisey-agent; it is not looked at")
    elif shutil.which(start) is None:
        yield failed("service", f"{place.unit} starts {start}, which is not there", install)
    elif service.quoted(str(home.path.absolute())) not in line:
        yield warning("service", f"{place.unit} serves another home than {home.path}", install)
    elif not place.managed:
        yield ok("service", f"{place.unit}; systemd does not run here")
    elif (state := place.state()) == "active":
        yield ok("service", f"{place.unit}, active")
    elif state == "activating":
        yield warning("service", "it has not reached the relay yet", f"Type: journalctl -u {service.NAME}")
    else:
        yield failed("service", f"it is {state or 'unknown'}", f"Type: systemctl start {service.NAME}")


def _running(home: AgentHome) -> Iterator[Finding]:
    if probing.held(home.path / "agent.lock"):
        yield ok("running", "an agent runs in this home")
    else:
        yield warning("running", "no agent runs in this home", "Type: caisey-agent run")
