"""`caisey-agent install` and `uninstall`: numbered steps, each said as it is done and naming its cause when it fails.

Only a unit that `install` wrote is changed or removed. Without a systemd that runs (a container, another init, a
`--destination`), the files are written all the same, and what is left to do is said.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caisey_agent import service
from caisey_agent.home import KEY, MACHINE, AgentHome
from caisey_agent.service import Unit
from caisey_core import keys
from caisey_core.errors import CaiseyError, UsageError
from caisey_core.journal import Journal

_SECONDS: Final = 60
_STARTED: Final = 10.0
_CARRIED: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """What is done, in a few words, and the doing of it, which returns what came of it."""

    title: str
    do: Callable[[], str]


def carry_out(steps: Sequence[Step], tell: Tell) -> None:
    """Does one after the other. Raises `UsageError` at the first that fails, naming it, its cause, and what is left."""
    for number, step in enumerate(steps, start=1):
        try:
            came = step.do()
        except (CaiseyError, OSError, subprocess.SubprocessError) as error:
            cause = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            rest = "" if number == len(steps) else f" Steps {number + 1} to {len(steps)} were not done."
            raise UsageError(
                f"Step {number} of {len(steps)} failed, {step.title}: {cause.rstrip('.')}.{rest}",
                hint=error.hint if isinstance(error, CaiseyError) else "",
            ) from error
        tell(f"{number}. {step.title}: {came}")


@dataclass(slots=True)
class Place:
    """Where a service goes. `destination`: a root of another file system, which nothing is started from."""

    home: AgentHome
    user: bool
    destination: Path | None = None
    left: list[str] = field(default_factory=list)
    """What is left to type."""

    @property
    def unit(self) -> Path:
        """The unit's file."""
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        path = service.directory(self.user, config) / service.NAME
        return self.destination / path.relative_to("/") if self.destination is not None else path

    @property
    def managed(self) -> bool:
        """Whether a systemd that runs can be told."""
        if self.destination is not None or shutil.which("systemctl") is None:
            return False
        state = self._ask("is-system-running").stdout.strip()
        return state not in {"", "offline", "unknown"}

    def systemctl(self, *words: str) -> str:
        """Tells systemd, or notes what is left to type. Raises `UsageError` with systemd's reason."""
        if not self.managed:
            self.left.append(" ".join([*self._program(), *words]))
            return "left to you; systemd does not run here" if self.destination is None else "left to you"
        done = self._ask(*words)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split()) or f"systemctl ended with {done.returncode}"
            raise UsageError(said, hint=f"Type: {' '.join([*self._program(), 'status', service.NAME])}")
        return "done"

    def state(self) -> str:
        """The service's state, as systemd has it."""
        return self._ask("is-active", service.NAME).stdout.strip()

    def _ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._program(), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def _program(self) -> list[str]:
        return ["systemctl", "--user"] if self.user else ["systemctl"]


# -- install ----------------------------------------------------------------------------------------------


def unit_of(place: Place, key_file: Path | None) -> Unit:
    """The unit for a home. Raises `NotJoined`, or `UsageError` for a key a service could not use."""
    membership = place.home.membership()
    path = place.home.path.absolute()
    owner = pwd.getpwuid(path.stat().st_uid).pw_name
    return Unit(
        command=(*program(), "run", "--home", str(path)),
        endpoint=membership.name,
        workspace=membership.workspace_name,
        user=place.user,
        account="" if place.user or owner == "root" else owner,
        key_file=key_file.absolute() if key_file is not None else None,
        environment=tuple((name, os.environ[name]) for name in _CARRIED if os.environ.get(name)),
    )


def program() -> tuple[str, ...]:
    """This program as a service can start it: the script this process was started by, or the interpreter."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "caisey-agent" and os.access(script, os.X_OK):
        return (str(script),)
    beside = Path(sys.executable).with_name("caisey-agent")
    return (str(beside),) if os.access(beside, os.X_OK) else (sys.executable, "-m", "caisey_agent")


def install(place: Place, key_file: Path | None) -> list[Step]:
    """The steps of installing."""
    return [
        Step("workspace", lambda: _joined(place)),
        Step("key", lambda: _key(place, key_file)),
        Step("unit", lambda: _write(place, unit_of(place, key_file))),
        Step("systemd reads it", lambda: place.systemctl("daemon-reload")),
        Step("starts with the machine", lambda: _enable(place)),
        Step("starts now", lambda: _start(place)),
    ]


def _joined(place: Place) -> str:
    membership = place.home.membership()
    return f"{membership.name} of {membership.workspace_name}, {membership.workspace}"


def _key(place: Place, key_file: Path | None) -> str:
    if key_file is not None:
        public = keys.read(key_file).public
        if public != keys.public_of(place.home.path, KEY):
            raise UsageError(f"{key_file} is not this endpoint's key")
        return f"handed to the service from {key_file}"
    if keys.place_of(place.home.path, KEY) is keys.Place.KEYRING:
        raise UsageError(
            "the endpoint's key is in your keyring, which a service has no session to open",
            hint="Join anew without --keyring, or name a file that holds the key: --key-file FILE",
        )
    place.home.key()
    return f"{place.home.path / KEY}.key, which only its owner can read"


def _write(place: Place, unit: Unit) -> str:
    path, text = place.unit, unit.text()
    before = _ours(path)
    if before == text:
        return f"{path} is as it should be"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.replace(path)
    return f"{path} written" if before is None else f"{path} written anew"


def _ours(path: Path) -> str | None:
    """The unit as it is, None where there is none. Raises `UsageError` for one that somebody else wrote."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    if not text.startswith(service.MARK):
        raise UsageError(f"{path} was not written by caisey-agent", hint="Move it aside, then type it again.")
    return text


def _enable(place: Place) -> str:
    came = place.systemctl("enable", service.NAME)
    if place.user and place.managed and not Path(f"/var/lib/systemd/linger/{_me()}").exists():
        place.left.append(f"loginctl enable-linger {_me()}")
        return "when you log in; for the machine's start see below"
    return came


def _start(place: Place) -> str:
    if not place.managed:
        return place.systemctl("start", service.NAME)
    place.systemctl("restart", "--no-block", service.NAME)
    until = time.monotonic() + _STARTED
    while (state := place.state()) in {"activating", "deactivating", "inactive"} and time.monotonic() < until:
        time.sleep(0.1)
    match state:
        case "active":
            return "it serves"
        case "activating":
            return "it runs, and waits for the relay"
        case _:
            logs = "journalctl --user -u" if place.user else "journalctl -u"
            raise UsageError(f"the service is {state or 'unknown'}", hint=f"Type: {logs} {service.NAME}")


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


# -- uninstall --------------------------------------------------------------------------------------------


def uninstall(place: Place, *, purge: bool, lose_unsent: bool) -> Iterator[Step]:
    """The steps of removing; what `purge` removes is looked at before anything is stopped."""
    if purge:
        yield Step("nothing is lost", lambda: _nothing_lost(place, lose_unsent))
    yield Step("service", lambda: _stop(place))
    yield Step("unit", lambda: _remove(place))
    yield Step("systemd forgets it", lambda: place.systemctl("daemon-reload"))
    if purge:
        yield Step("key", lambda: _forget(place))
        yield Step("files", lambda: _purge(place))


def _nothing_lost(place: Place, lose_unsent: bool) -> str:
    database = place.home.path / "journal.db"
    if not database.exists():
        return "there is no journal"
    with Journal.read(database) as journal:
        unsent = len(journal.unsent())
    if unsent and not lose_unsent:
        raise UsageError(
            f"{unsent} records of this endpoint have no receipt yet and exist nowhere else",
            hint="Let the agent reach the relay first, or lose them on purpose: --lose-unsent",
        )
    return f"{unsent} records without a receipt are lost" if unsent else "every record has its receipt"


def _stop(place: Place) -> str:
    if _ours(place.unit) is None:
        return "none was installed"
    return place.systemctl("disable", "--now", service.NAME)


def _remove(place: Place) -> str:
    if _ours(place.unit) is None:
        return "there is none"
    place.unit.unlink()
    return f"{place.unit} removed"


def _forget(place: Place) -> str:
    if not place.home.path.exists():
        return "there is none"
    os.close(place.home.lock())  # raises where an agent still runs
    if not keys.exists(place.home.path, KEY):
        return "there is none"
    keys.forget(place.home.path, KEY, sure=True)
    return "removed; this endpoint cannot log in any more"


def _purge(place: Place) -> str:
    path = place.home.path
    if not path.exists():
        return f"{path} is not there"
    names = [
        "membership.json",
        "membership.json.new",
        "agent.lock",
        MACHINE,
        *(each.name for each in path.glob("journal.db*")),
    ]
    for name in names:
        (path / name).unlink(missing_ok=True)
    left = sorted(each.name for each in path.iterdir())
    if left:
        return f"removed; {path} stays, with {', '.join(left)}"
    path.rmdir()
    return f"{path} removed"
