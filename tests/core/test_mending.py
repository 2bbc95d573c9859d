"""A peer's side of a repair, against a relay that is scripted: what it gives back, and what it does not believe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import structs

from caisey_core import frames
from caisey_core.frames import Entry
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import ClientAdded
from caisey_core.link import Link, Ready
from caisey_core.mending import Mender
from caisey_core.record import Sealed, parse
from tests.core.golden import session
from tests.core.world import INCARNATION, NOW, Book, Workspace, key, note, writer

OTHER = "0f" * 16
ROSTER = LogId("ab" * 32)


@dataclass
class Relay:
    """What a restored relay has of each log; it believes everything, and may lie."""

    link: Link
    mender: Mender
    logs: dict[str, list[Entry]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    refuse: dict[str, str] = field(default_factory=dict)
    lie: Callable[[frames.Repaired], frames.Repaired] = lambda said: said
    told: list[frames.ToRelay] = field(default_factory=list)

    def connect(self, incarnation: str = OTHER) -> None:
        """A login, and all the talk that follows."""
        self.link.disconnected()
        self.link.connected(0.0)
        self._says(frames.Challenge(v=frames.WIRE, nonce="", relay="", workspace="w", time=NOW))
        self.link.outgoing()
        self._says(frames.Welcome(incarnation=incarnation, roster=ROSTER, time=NOW, repairs=True))
        self.talk()

    def talk(self) -> None:
        while out := self.link.outgoing():
            for frame in map(frames.to_relay, out):
                self.told.append(frame)
                if isinstance(frame, frames.Repair):
                    self._repair(frame)

    def _says(self, frame: frames.Frame) -> None:
        for event in self.link.received(frames.encode(frame)):
            self.mender.take(event)
            if isinstance(event, Ready):
                self.told.append(frames.FollowAll(cursor="ready"))

    def _repair(self, frame: frames.Repair) -> None:
        held = self.logs.setdefault(frame.log, [])
        if code := self.refuse.get(frame.log):
            self._says(frames.Denied(id=frame.id, code=code, why=f"because of {code}"))
            return
        fresh = [each for each in frame.entries if each.receipt.seq > len(held)]
        if fresh and frame.log in self.closed:
            self._says(frames.Denied(id=frame.id, code="repair", why=""))
            return
        held += fresh
        end = held[-1].receipt if held else frames.Receipt("", 0, 0, "")
        here = held[frame.seq - 1].receipt.chain if 0 < frame.seq <= len(held) else ""
        said = frames.Repaired(
            id=frame.id,
            log=frame.log,
            incarnation=end.incarnation,
            seq=end.seq,
            chain=end.chain,
            same=here == frame.chain != "",
            lacking=(),
        )
        self._says(self.lie(said))

    def asked(self, log: str) -> list[frames.Repair]:
        """What was said of a log."""
        return [each for each in self.told if isinstance(each, frames.Repair) and each.log == log]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.set("incarnation", INCARNATION)
        yield journal


def relay_for(journal: Journal, roster: LogId = ROSTER) -> Relay:
    """The other end of a link whose journal this is."""
    link = Link(key("ana"), "https://relay.example", "w", nonce=lambda: "")
    return Relay(link, Mender(link, journal, roster))


def keep(journal: Journal, entries: Sequence[Entry]) -> LogId:
    """Keeps a log; its id."""
    journal.place([(parse(entry.sealed), entry.receipt) for entry in entries])
    return parse(entries[0].sealed).log


def grown(count: int) -> Book:
    """A session with many notes."""
    book = session()
    ana = writer("ana", parse(book.entries[0].sealed).log, "more")
    for number in range(count):
        book.add(ana.write(*note(str(number)), time=NOW))
    return book


@pytest.mark.parametrize("kept", [0, 1, 4, 5])
def test_what_the_relay_lost_is_given_back_byte_for_byte(journal: Journal, kept: int) -> None:
    book = session()
    log = keep(journal, book.entries)
    relay = relay_for(journal)
    relay.logs[log] = book.entries[:kept]
    relay.connect()
    assert relay.logs[log] == book.entries
    assert relay.mender.done
    assert relay.mender.outcome.given == 5 - kept
    assert not relay.mender.outcome.displaced
    assert not relay.mender.outcome.apart
    assert journal.setting("incarnation") == OTHER
    before = len(relay.asked(log))
    relay.connect()
    assert len(relay.asked(log)) == before, "once"


def test_pages_end_where_batches_do_and_checkpoints_come_with_the_last(journal: Journal) -> None:
    book = grown(1200)
    log = keep(journal, book.entries)
    journal.keep_checkpoint(book.checkpoint("relay"))
    relay = relay_for(journal)
    relay.connect()
    assert relay.logs[log] == book.entries
    pages = [each for each in relay.asked(log) if each.entries]
    assert len(pages) > 2
    assert all(each.entries[-1].sealed.sig is not None for each in pages)
    assert [len(each.checkpoints) for each in pages] == [0] * (len(pages) - 1) + [1]


@pytest.mark.parametrize("at", [1, 4, 5, 8, 60, 104])
def test_where_the_two_part_is_found_and_nothing_is_dropped(journal: Journal, at: int) -> None:
    book = grown(100)
    log = keep(journal, book.entries)
    other = book.restored(OTHER, at)
    sam = writer("sam", log)
    for number in range(30):
        other.add(sam.write(*note(str(number)), time=NOW))
    relay = relay_for(journal)
    relay.logs[log] = other.entries
    relay.closed.add(log)
    relay.connect()
    assert relay.mender.outcome.displaced == {log: len(book.entries) - at}
    assert journal.entries(log) == book.entries[:at]
    lost = [entry.sealed for entry in book.entries[at:]]
    assert [sealed for _, sealed in journal.displaced(log)] == lost
    offered = [sealed for each in relay.asked(log) for sealed in each.records]
    assert offered == lost, "in their old order"
    assert len(relay.asked(log)) < 20 + len(lost)
    assert log not in relay.link.apart


@pytest.mark.parametrize("seq", [0, 1, 3, 5, 9])
def test_a_relay_that_only_says_so_takes_nothing_from_the_journal(journal: Journal, seq: int) -> None:
    """Whatever it answers: every record stays, with the receipt it had, in its place or as evidence."""
    book = session()
    log = keep(journal, book.entries)
    relay = relay_for(journal)
    relay.logs[log] = book.entries

    def lie(said: frames.Repaired) -> frames.Repaired:
        return frames.Repaired(
            id=said.id, log=said.log, incarnation=OTHER, seq=seq, chain="cd" * 32, same=False, lacking=(1, 2, 99)
        )

    relay.lie = lie
    relay.connect()
    assert relay.mender.done
    placed = [entry.sealed for entry in journal.entries(log)]
    assert placed + [sealed for _, sealed in journal.displaced(log)] == [entry.sealed for entry in book.entries]
    rows = journal.connection.execute("SELECT count(*) FROM displaced").fetchone()
    assert rows == (len(book.entries) - len(placed),)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("number", [0, -1, -(2**63), 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_numbers_that_no_journal_holds_are_not_looked_up(journal: Journal, number: int, same: bool) -> None:
    """The journal would say that it cannot be used, and whoever reads that looks for the fault in their disk."""
    book = session()
    log = keep(journal, book.entries)
    relay = relay_for(journal)
    relay.logs[log] = book.entries
    relay.lie = lambda said: structs.replace(said, seq=number, same=same, lacking=(number, 1, number))
    relay.connect()
    assert relay.mender.done
    assert len(journal.entries(log)) + len(journal.displaced(log)) == len(book.entries)


def test_two_histories_in_one_incarnation_are_not_mended(journal: Journal) -> None:
    book = session()
    log = keep(journal, book.entries)
    fork = Book(entries=book.entries[:4], chains={seq: book.chains[seq] for seq in range(1, 5)})
    fork.add(writer("sam", log).write(*note(), time=NOW))
    fork.add(writer("sam", log, "2").write(*note(), time=NOW))
    relay = relay_for(journal)
    relay.logs[log] = fork.entries
    relay.connect()
    assert "two histories" in relay.mender.outcome.apart[log]
    assert journal.entries(log) == book.entries
    assert relay.link.apart == {log}


def test_what_is_refused_remains_apart_and_is_tried_again(journal: Journal) -> None:
    book, other = session(), Book()
    log = keep(journal, book.entries)
    second = keep(
        journal,
        [other.add(writer("sam").write("session.opened", parse(book.entries[0].sealed).body or b"", time=NOW))],
    )
    relay = relay_for(journal)
    relay.refuse[log] = "kind"
    relay.connect()
    assert relay.mender.done
    assert relay.mender.outcome.apart == {log: "because of kind"}
    assert relay.logs[second] == other.entries, "the others are not held up by it"
    relay.link.follow(log)
    relay.talk()
    assert not any(isinstance(each, frames.Follow) and each.log == log for each in relay.told)
    again = relay_for(journal)
    assert again.link.apart == {log}, "the next process knows"
    again.link.follow(log)
    again.connect()
    assert again.logs == {log: book.entries}
    assert any(isinstance(each, frames.Follow) and each.log == log for each in again.told)
    assert journal.setting("apart") == ""


# -- the roster -------------------------------------------------------------------------------------------------


def _changed(workspace: Workspace, count: int) -> None:
    for number in range(count):
        workspace.say("root", "client.added", ClientAdded(id=f"c-{number}", name=f"C{number}"))


def test_the_roster_comes_first(journal: Journal) -> None:
    workspace = Workspace.staffed()
    roster = keep(journal, workspace.book.entries)
    keep(journal, session().entries)
    relay = relay_for(journal, roster)
    relay.logs[roster] = workspace.book.entries[:3]
    relay.connect()
    logs = [each.log for each in relay.told if isinstance(each, frames.Repair)]
    assert logs == sorted(logs, key=lambda log: log != roster)
    assert relay.logs[roster] == workspace.book.entries


def test_a_roster_that_was_changed_before_is_never_rolled_back(journal: Journal) -> None:
    workspace = Workspace.staffed()
    kept = len(workspace.book.entries)
    _changed(workspace, 3)
    roster = keep(journal, workspace.book.entries)
    other = workspace.book.restored(OTHER, kept)
    _ = other.add(
        writer("sam", roster, "elsewhere").write(
            "client.added", ClientAdded(id="x", name="X"), time=NOW, re={"roster": "ab" * 32}
        )
    )
    relay = relay_for(journal, roster)
    relay.logs[roster] = other.entries
    relay.closed.add(roster)
    relay.connect()
    assert roster in relay.mender.outcome.apart
    assert journal.entries(roster) == workspace.book.entries
    assert journal.displaced() == []


def test_admissions_change_nobody_s_rights_and_find_new_places(journal: Journal) -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("new")
    kept = len(workspace.book.entries)
    admitted = workspace.admit_endpoint("new")
    roster = keep(journal, workspace.book.entries)
    other = workspace.book.restored(OTHER, kept)
    other.add(
        writer("sam", roster, "elsewhere").write(
            "client.added", ClientAdded(id="x", name="X"), time=NOW, re={"roster": "ab" * 32}
        )
    )
    relay = relay_for(journal, roster)
    relay.logs[roster] = other.entries
    relay.closed.add(roster)
    relay.connect()
    assert relay.mender.outcome.displaced == {roster: 1}
    assert [each.records for each in relay.asked(roster) if each.records] == [(admitted.sealed,)]


def test_the_roster_is_given_back_as_far_as_its_bodies_are_here(journal: Journal) -> None:
    workspace = Workspace.staffed()
    kept = len(workspace.book.entries)
    _changed(workspace, 3)
    entries = list(workspace.book.entries)
    bare = entries[kept + 1].sealed
    entries[kept + 1] = Entry(Sealed(bare.head, bare.sig, None, None), entries[kept + 1].receipt)
    roster = keep(journal, entries)
    relay = relay_for(journal, roster)
    relay.logs[roster] = entries[:kept]
    relay.connect()
    assert relay.logs[roster] == entries[: kept + 1]
    assert "has all of" in relay.mender.outcome.apart[roster]
