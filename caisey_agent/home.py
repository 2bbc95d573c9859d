"""What an endpoint keeps: which workspace it joined as which endpoint, its key, its journal. One agent a home.

Beside the key stands on which machine it was made: a home that was copied, with its disk or without, is found out
before the second machine speaks with the first one's key.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from caisey_agent import machine
from caisey_agent.service import CREDENTIAL
from caisey_core import keys
from caisey_core.errors import JournalError, NotJoined, UsageError
from caisey_core.journal import Journal
from caisey_core.signing import SigningKey

KEY = "endpoint"
POLICY_KNOWN: Final = "policy"
"""The journal's setting with the newest version of a published policy that this endpoint has known."""
MACHINE = "machine.json"
MOVED: Final = (
    "Give this machine a key of its own: caisey-agent uninstall --purge, then join with a new invitation. If it is the "
    "same machine, or takes the place of one that is gone for good: caisey-agent moved"
)


class Membership(Struct, frozen=True, kw_only=True):
    """Which workspace this endpoint belongs to, pinned when it joined. `client` is the client's id."""

    v: int
    workspace: str
    workspace_name: str
    roster: str
    relay: str
    endpoint: str
    client: str
    name: str
    plain_text_on: str


@dataclass(frozen=True, slots=True)
class AgentHome:
    """A directory of the agent's."""

    path: Path

    @classmethod
    def of(cls, option: Path | None) -> AgentHome:
        """The directory that was asked for, else `CAISEY_AGENT_HOME`, else the usual one."""
        named = option or os.environ.get("CAISEY_AGENT_HOME")
        return cls(Path(named) if named else Path.home() / ".local" / "share" / "caisey-agent")

    def membership(self) -> Membership:
        """Raises `NotJoined`."""
        try:
            return msgspec.json.decode((self.path / "membership.json").read_bytes(), type=Membership)
        except FileNotFoundError:
            raise NotJoined(
                f"The agent in {self.path} has joined no workspace.", hint="Type: caisey-agent join INVITATION"
            ) from None
        except msgspec.DecodeError as error:
            raise UsageError(f"{self.path / 'membership.json'} cannot be read: {error}.") from error

    def keep(self, membership: Membership) -> None:
        """Keeps the membership, whole or not at all."""
        temporary = self.path / "membership.json.new"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(membership)) + b"\n")
        temporary.replace(self.path / "membership.json")

    def key(self) -> SigningKey:
        """The endpoint's key: handed over by the service manager, else kept here. Raises `UsageError`."""
        handed = os.environ.get("CREDENTIALS_DIRECTORY")
        path = Path(handed) / CREDENTIAL if handed else None
        # systemd lets nobody else into that directory, whoever the file in it belongs to.
        if path is not None and path.exists():
            return SigningKey.from_openssh(path.read_bytes())
        return keys.load(self.path, KEY)

    def elsewhere(self) -> str:
        """What shows that this home was made on another machine; nothing where it was not. Raises `UsageError`."""
        known, here = self._made_on(), machine.identity()
        return " and ".join(name for name in known if known[name] != here.get(name, known[name]))

    def on_this_machine(self) -> None:
        """Raises `UsageError` where this home was made on another machine; what is new about this one is noted."""
        if other := self.elsewhere():
            raise UsageError(
                f"The agent in {self.path} was set up on another machine (another {other}): this is a copy of its "
                "disk. Two machines must not use one key; nothing was started.",
                hint=MOVED,
            )
        if machine.identity().keys() - self._made_on().keys():
            with suppress(OSError):  # a disk that takes nothing is told by the journal
                self.moved()

    def _made_on(self) -> dict[str, str]:
        path = self.path / MACHINE
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise UsageError(f"{path} cannot be read: {error}.", hint="Type: caisey-agent moved") from error

    def moved(self) -> None:
        """Notes that this home belongs to this machine, whatever it did before."""
        path = self.path / MACHINE
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_bytes(msgspec.json.encode(machine.identity()) + b"\n")
        temporary.replace(path)

    def journal(self) -> Journal:
        """The endpoint's journal. Raises `JournalError`."""
        return Journal.open(self.path / "journal.db", room=True)

    def lock(self) -> int:
        """Keeps a second agent out of this home for as long as the descriptor is open.

        Raises `UsageError`, or `JournalError` for a home that cannot be used.
        """
        path = self.path / "agent.lock"
        take: Callable[[int, int], None] = _recorded
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS or not path.exists():
                raise JournalError(
                    f"The agent's home {self.path} cannot be used: {error.strerror}. Nothing was started.",
                    hint="Check free space and permissions, or name another --home.",
                ) from error
            # It stays, to say why nothing is run; that lock would want a file that can be written.
            handle, take = os.open(path, os.O_RDONLY | os.O_CLOEXEC), fcntl.flock
        try:
            take(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise UsageError(f"An agent runs in {self.path} already; a second one was not started.") from None
        return handle

    def running(self) -> bool:
        """Whether an agent runs in this home."""
        try:
            os.close(self.lock())
        except UsageError:
            return True
        return False


def _recorded(handle: int, how: int) -> None:
    """A record lock, for it names its holder to whoever asks."""
    fcntl.lockf(handle, how)
