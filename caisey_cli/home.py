"""What a member keeps on a machine: which workspace they joined as whom, their keys, their journal.

membership.json   pinned when the workspace was joined or founded
device.*          the key that signs what this member does here
root.*            the workspace's root key, only where it was founded
journal.db        roster and sessions, as received
local/            a home of its own beside it: this machine's workspace, with its relay and agent (see `local`)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from caisey_cli import known
from caisey_core.errors import BadRecord, NotJoined, RecordError, UsageError

if TYPE_CHECKING:
    from caisey_cli.membership import Membership
    from caisey_core.journal import Journal
    from caisey_core.roster import Roster
    from caisey_core.signing import SigningKey

DEVICE: Final = "device"
ROOT: Final = "root"
LOCAL: Final = known.LOCAL


@dataclass(frozen=True, slots=True)
class Home:
    """A directory of one member's. Reading it needs no relay."""

    path: Path

    @classmethod
    def named(cls, option: Path | str | None = None) -> Home:
        """The directory that was asked for, else `CAISEY_HOME`, else the usual one."""
        return cls(Path(known.directory(str(option) if option else None)))

    @classmethod
    def of(cls, option: Path | str | None = None) -> Home:
        """The same; where that has joined nothing, and this machine's own workspace is beside it, that one."""
        home = cls.named(option)
        return home.local if not home.joined and home.local.joined else home

    @classmethod
    def every(cls, option: Path | str | None = None) -> list[Home]:
        """The homes that a reader looks through: the one that has joined, and this machine's own beside it."""
        home = cls.named(option)
        joined = [each for each in dict.fromkeys((home, home.local)) if each.joined]
        return joined or [home]

    @property
    def is_local(self) -> bool:
        """Whether it is this machine's own workspace, with relay and agent in it."""
        return self.path.name == LOCAL and (self.path / "agent").is_dir() and (self.path / "relay").is_dir()

    @property
    def local(self) -> Home:
        """This machine's own workspace."""
        return self if self.is_local else Home(self.path / LOCAL)

    @property
    def database(self) -> Path:
        """The journal's file."""
        return self.path / "journal.db"

    @property
    def joined(self) -> bool:
        """Whether this home belongs to a workspace."""
        return (self.path / "membership.json").exists()

    def membership(self) -> Membership:
        """Raises `NotJoined`, or `UsageError` for a file that cannot be read."""
        import msgspec

        from caisey_cli.membership import Membership

        path = self.path / "membership.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Membership)
        except (FileNotFoundError, NotADirectoryError):
            raise NotJoined(
                f"{self.path} belongs to no workspace yet.",
                hint="Type: caisey join INVITATION, or found one: caisey init NAME --relay URL. "
                "Without either, on this machine alone: caisey connect local",
            ) from None
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}.", hint="Join again in another --home.") from error

    def keep(self, membership: Membership) -> None:
        """Keeps the membership, whole or not at all."""
        import msgspec

        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path / "membership.json.new"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(membership)) + b"\n")
        temporary.replace(self.path / "membership.json")

    def key(self) -> SigningKey:
        """This member's device key. Raises `UsageError`."""
        from caisey_core import keys

        return keys.load(self.path, DEVICE)

    @property
    def rooted(self) -> bool:
        """Whether the workspace's root key is kept here."""
        from caisey_core import keys

        return keys.exists(self.path, ROOT)

    def root(self) -> SigningKey:
        """The workspace's root key. Raises `UsageError` where it is not kept."""
        from caisey_core import keys

        if not keys.exists(self.path, ROOT):
            raise UsageError(
                f"The workspace's root key is not in {self.path}; nothing was done.",
                hint="Do this in the home in which 'caisey init' founded the workspace.",
            )
        return keys.load(self.path, ROOT)

    def journal(self) -> Journal:
        """The journal, for reading and writing. Raises `JournalError`."""
        from caisey_core.journal import Journal

        return Journal.open(self.database, room=True, reserve=True)

    def reading(self) -> Journal:
        """The journal, for reading only. Raises `NotJoined` or `JournalError`."""
        from caisey_core.journal import Journal

        self.membership()
        return Journal.read(self.database)

    def roster(self, journal: Journal | None = None) -> Roster:
        """The roster as the journal has it, checked record by record. Raises `RecordError`."""
        membership = self.membership()
        if journal is None:
            with self.reading() as opened:
                return self.roster(opened)
        roster = fold(journal, membership.roster)
        if roster.fingerprint != membership.workspace:
            raise RecordError(
                "The roster in the journal is not that of the workspace this home has joined. Nothing was done.",
                hint=f"Move {self.path} aside and ask for a new invitation.",
            )
        return roster


def is_this_machine(endpoint: str) -> bool:
    """Whether an endpoint, as it was typed, could be this machine in a workspace of its own."""
    wanted = endpoint.strip().casefold()
    return wanted == LOCAL or wanted.endswith(f"/{LOCAL}")


def fold(journal: Journal, log: str) -> Roster:
    """A roster's log from a journal. Raises `RecordError`, naming the first record that does not hold."""
    from caisey_core.chain import Chain
    from caisey_core.record import parse
    from caisey_core.roster import Roster

    roster, chain = Roster(), Chain()
    for entry in journal.entries(log):
        try:
            record = parse(entry.sealed)
            chain.accept(record, entry.receipt)
            roster.apply(record, entry.receipt.received)
        except BadRecord as bad:
            raise RecordError(
                f"In the journal the roster is bad at record {entry.receipt.seq}: {str(bad).rstrip('.')}. "
                "Nothing was done.",
                hint="The relay holds it too: join in a new --home and compare.",
            ) from bad
    return roster
