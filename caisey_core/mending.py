"""A peer's side of a repair: gives a relay that was restored from a backup what it lost, log by log, the roster first.

Each log is a conversation of its own (`_mend`), one question at a time. Where the relay's log is the beginning of the
one kept here, the rest is given back with its receipts, byte for byte. Where somebody has appended to it in the
relay's new incarnation before, the two have parted: the relay's places count from there on, the receipts kept here
become evidence (`Journal.displace`), and the records without a place are offered again in their old order, by
whomever they are. Nothing is dropped here because a relay says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from typing import Final

from msgspec import Struct, field

from caisey_core.frames import Checkpoint, Entry, Repaired
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import GOVERNING
from caisey_core.link import Event, Link, Mended, Ready, Rejected, batches
from caisey_core.record import Sealed, parse

_INCARNATION: Final = "incarnation"
_APART: Final = "apart"
_AT_ONCE: Final = 16
"""Logs in conversation at the same time."""
_PAGE: Final = 512
_PAGE_BYTES: Final = 1024 * 1024
_BODIES: Final = 256
_FORKED: Final = "the relay has had two histories of it in one incarnation"
_CLOSED: Final = "the relay takes back nothing of it"
_ROSTER: Final = "it was changed before what the relay had lost was given back"


class _Ask(Struct, frozen=True):
    """One repair to send."""

    seq: int
    chain: str
    entries: Sequence[Entry] = ()
    records: Sequence[Sealed] = ()
    checkpoints: Sequence[Checkpoint] = ()


_Talk = Generator[_Ask, Repaired | Rejected, str]
"""A conversation about one log; in the end, why it remains apart, or nothing."""


class Outcome(Struct):
    """What came of it: records given back with their receipts, logs that had parted (and how many records lost their
    places there), logs that remain apart and why."""

    given: int = 0
    displaced: dict[LogId, int] = field(default_factory=dict)
    apart: dict[LogId, str] = field(default_factory=dict)


class Mender:
    """Mends over one link, which it tells what the journal knows of the relay's incarnation. `take` sees every event.

    `done` when there is nothing to talk about with the relay; `outcome` is what came of the last time.
    """

    def __init__(self, link: Link, journal: Journal, roster: LogId) -> None:
        self.done = True
        self.outcome = Outcome()
        self._link, self._journal, self._roster = link, journal, roster
        self._logs: deque[LogId] = deque()
        self._talks: dict[int, tuple[LogId, _Talk]] = {}
        last = journal.chain_at(roster, journal.length(roster)) or ("", "")
        link.incarnation = journal.setting(_INCARNATION) or last[0]
        link.apart |= {LogId(log) for log in journal.setting(_APART).split()}

    def begin(self, *, everything: bool) -> None:
        """Talks about every log that is kept here, or again about those where something is left to be done."""
        self.done = False
        self.outcome = Outcome()
        self._talks.clear()
        kept = self._journal.placed() if everything else self._link.apart | set(self._journal.displaced_logs())
        self._logs = deque(sorted(kept, key=lambda log: log != self._roster))
        self._go_on()

    def take(self, event: Event) -> bool:
        """An event of the link's; whether nobody else has to see it. Raises `JournalError`."""
        match event:
            case Ready(restored=restored):
                self.begin(everything=restored)
                return False
            case Mended(said=answer):
                id_: int = answer.id
                said: Repaired | Rejected = answer
            case Rejected(id=id_):
                said = event
            case _:
                return False
        if id_ not in self._talks:
            return isinstance(event, Mended)
        log, talk = self._talks.pop(id_)
        self._say(log, talk, said)
        self._go_on()
        return True

    def _go_on(self) -> None:
        while self._logs and len(self._talks) < _AT_ONCE:
            # Who may write in the other logs stands in the roster: it is there before them.
            if any(log == self._roster for log, _ in self._talks.values()):
                return
            log = self._logs.popleft()
            self._say(log, self._mend(log), None)
        if not self._logs and not self._talks:
            self._keep(_APART, " ".join(sorted(self._link.apart)))
            self._keep(_INCARNATION, self._link.incarnation)
            self._link.mended()
            self.done = True

    def _say(self, log: LogId, talk: _Talk, answer: Repaired | Rejected | None) -> None:
        try:
            ask = next(talk) if answer is None else talk.send(answer)
        except StopIteration as end:
            if end.value:
                self.outcome.apart[log] = end.value
                self._link.apart.add(log)
            else:
                self._link.rejoin(log)
            return
        id_ = self._link.repair(
            log, ask.seq, ask.chain, entries=ask.entries, records=ask.records, checkpoints=ask.checkpoints
        )
        self._talks[id_] = (log, talk)

    def _keep(self, name: str, value: str) -> None:
        if self._journal.setting(name) != value:
            self._journal.set(name, value)

    # -- one log ------------------------------------------------------------------------------------------

    def _mend(self, log: LogId) -> _Talk:
        length = self._journal.length(log)
        end = (self._journal.chain_at(log, length) or ("", ""))[1]
        answer = yield _Ask(length, end)
        while isinstance(answer, Repaired) and not answer.same and self._is_behind(log, answer, length):
            page, before = self._page(log, answer.seq), answer.seq
            if not page:
                return "nothing here has all of what it lost"
            marks = self._journal.checkpoints(log) if page[-1].receipt.seq == length else []
            answer = yield _Ask(length, end, page, checkpoints=marks)
            if isinstance(answer, Repaired):
                if answer.seq <= before:
                    return _CLOSED
                self.outcome.given += answer.seq - before
            elif answer.code == "repair":
                # Somebody has appended in between: where the two part is asked again.
                answer = yield _Ask(length, end)
                if isinstance(answer, Repaired) and self._is_behind(log, answer, length):
                    return _CLOSED
        if isinstance(answer, Rejected):
            return answer.why or answer.code
        if not answer.same and (why := (yield from self._parted(log, answer, length))):
            return why
        yield from self._bodies(log, answer)
        return (yield from self._offered(log))

    def _is_behind(self, log: LogId, answer: Repaired, length: int) -> bool:
        if answer.seq >= length:
            return False
        return answer.seq == 0 or self._journal.chain_at(log, answer.seq) == (answer.incarnation, answer.chain)

    def _page(self, log: LogId, after: int) -> list[Entry]:
        """The next records, whole batches of them; of the roster only as far as their bodies are kept here."""
        page: list[Entry] = []
        size = end = 0
        for entry in self._journal.entries(log, after, _PAGE):
            size += len(entry.sealed.head) + len(entry.sealed.body or b"")
            if (size > _PAGE_BYTES and end) or (log == self._roster and entry.sealed.body is None):
                break
            page.append(entry)
            if entry.sealed.sig is not None:
                end = len(page)
        return page[:end]

    def _bodies(self, log: LogId, answer: Repaired) -> _Talk:
        """Bodies that the relay lacks, because who gave the records back was not shown them."""
        length = self._journal.length(log)
        lacking = [seq for seq in answer.lacking[:_BODIES] if 0 < seq <= length]  # others fit into no journal's column
        found = [each for seq in lacking for each in self._journal.entries(log, seq - 1, 1)]
        for entry in found:
            if entry.sealed.body is not None:
                yield _Ask(answer.seq, answer.chain, [entry])
        return ""

    def _parted(self, log: LogId, answer: Repaired, length: int) -> _Talk:
        """Finds where the relay's log and this one part, and takes the relay's places from there on."""
        last, beyond = 0, min(length, answer.seq) + 1
        while beyond - last > 1:
            middle = (last + beyond) // 2
            said = yield _Ask(middle, (self._journal.chain_at(log, middle) or ("", ""))[1])
            if isinstance(said, Rejected):
                return said.why or said.code
            last, beyond = (middle, beyond) if said.same else (last, middle)
        mine = self._journal.chain_at(log, last + 1)
        if mine is None or mine[0] == answer.incarnation:
            return _FORKED
        if log == self._roster and self._governs(log, last):
            # Whoever was removed by it would belong again.
            return _ROSTER
        self.outcome.displaced[log] = self.outcome.displaced.get(log, 0) + self._journal.displace(log, last)
        self._link.distrust(log)
        return ""

    def _governs(self, log: LogId, after: int) -> bool:
        """Whether a record beyond a place changes the roster, and does not only use an invitation up."""
        return any(parse(entry.sealed).head.kind in GOVERNING for entry in self._journal.entries(log, after))

    def _offered(self, log: LogId) -> _Talk:
        """Offers the records without a place again, in their old order. One that is refused is kept, as evidence."""
        for _, records in batches(self._journal.displaced(log)):
            yield _Ask(0, "", records=records)
        return ""
