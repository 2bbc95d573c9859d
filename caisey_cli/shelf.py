"""A journal open for reading, this home's or a copy: whose it is, its roster, and the session that is meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from caisey_cli.home import Home
from caisey_cli.membership import Membership
from caisey_cli.sanitize import inert
from caisey_core.errors import UsageError

if TYPE_CHECKING:
    from caisey_cli.resolve import Known
    from caisey_cli.transcript import Transcript
    from caisey_core.chain import Report
    from caisey_core.frames import Entry
    from caisey_core.journal import Journal
    from caisey_core.roster import Endpoint, Roster


@dataclass(frozen=True, slots=True)
class Shelf:
    """A journal open for reading. `me` is my member's id, empty for somebody else's journal."""

    home: Home
    journal: Journal
    roster: Roster
    membership: Membership | None

    @property
    def me(self) -> str:
        """My member's id."""
        return self.membership.member if self.membership else ""

    @property
    def key(self) -> str:
        """My device's public key, for "you"."""
        path = self.home.path / "device.pub"
        return path.read_text().split(" ")[1] if self.membership and path.exists() else ""

    def known(self) -> list[Known]:
        """The sessions in it; their names are remembered for TAB."""
        from caisey_cli import resolve
        from caisey_cli.remembering import remember

        found = resolve.sessions(self.journal, self.roster)
        if self.membership:
            remember(self.home.path, self.journal, self.roster, self.me, found=found)
        return found

    def session(self, typed: str) -> Known:
        """The session that is meant."""
        from caisey_cli import resolve

        return resolve.session(self.known(), typed, me=self.me, reading=True)

    def transcript(self, entries: Sequence[Entry]) -> Transcript:
        """The transcript of a log's entries."""
        from caisey_cli.transcript import Transcript

        return Transcript.of(entries, self.roster, self.key)

    def report(self, log: str, entries: Sequence[Entry]) -> Report:
        """Whether a log holds."""
        from caisey_cli.evidence import examine

        return examine(entries, self.journal.checkpoints(log), self.roster)

    def both(self, log: str, entries: Sequence[Entry]) -> tuple[Transcript, Report]:
        """The two of them, each record read once."""
        from caisey_cli.evidence import Examination

        examination = Examination.of(entries, self.roster, self.key)
        return examination.transcript, examination.report(self.journal.checkpoints(log))

    def scope(self) -> list[Endpoint]:
        """The endpoints I may work on."""
        from caisey_cli import resolve

        return resolve.in_scope(self.roster, self.roster.members.get(self.me))


@contextmanager
def at(home: Path | None, journal: Path | None = None) -> Iterator[Shelf]:
    """This home's journal, or another one with the roster that is in it."""
    own = Home.of(home)
    if journal is None:
        with own.reading() as opened:
            yield Shelf(own, opened, own.roster(opened), own.membership())
        return
    from caisey_cli.home import fold
    from caisey_core.journal import Journal

    if not journal.exists():
        raise UsageError(f"There is no journal {journal}.", hint="Name a file such as journal.db.")
    with Journal.read(journal) as opened:
        logs = opened.logs("workspace.founded")
        if len(logs) != 1:
            raise UsageError(f"{journal} holds {len(logs)} rosters instead of one; nothing can be checked by it.")
        roster = fold(opened, logs[0])
        mine = {each.membership().workspace for each in Home.every(home) if each.joined}
        if Home.named(home).joined and roster.fingerprint not in mine:
            raise UsageError(f"{journal} is of another workspace ({roster.fingerprint}) than this home.")
        yield Shelf(own, opened, roster, None)


@contextmanager
def every(home: Path | None) -> Iterator[list[Shelf]]:
    """The journals of this home: of the workspace it has joined, and of this machine's own beside it."""
    with ExitStack() as stack:
        yield [stack.enter_context(at(each.path)) for each in Home.every(home)]


@contextmanager
def finding(home: Path | None, typed: str, journal: Path | None = None) -> Iterator[tuple[Shelf, Known]]:
    """The session that is meant, for reading, and the journal it lies in."""
    if journal is not None:
        with at(home, journal) as only:
            yield only, only.session(typed)
        return
    with every(home) as shelves:
        yield meant(shelves, typed, reading=True)


def meant(shelves: Sequence[Shelf], typed: str, *, reading: bool) -> tuple[Shelf, Known]:
    """The session that is meant, and which journal it lies in. Raises as `resolve.session` does."""
    from msgspec import structs

    from caisey_cli import resolve

    found = {known.log: (at, known) for at in shelves for known in at.known()}
    # In each workspace I am somebody else; what is mine is mine in all of them.
    mine = [
        structs.replace(known, opener=_ME) if known.opener == at.me != "" else known for at, known in found.values()
    ]
    newest = sorted(mine, key=lambda known: known.opened, reverse=True)
    return found[resolve.session(newest, typed, me=_ME, reading=reading).log]


_ME: Final = "me"


def about(known: Known) -> str:
    """A session's endpoint and ticket, inert."""
    return inert(known.endpoint + (f", ticket {known.ticket}" if known.ticket else ""))
