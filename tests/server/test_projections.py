"""What the relay answers besides records is nothing but a fold of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core.kinds import (
    ActionExpired,
    ActionRefused,
    ActionStarted,
    ActionUnknown,
    ActionWithdrawn,
    Body,
)
from caisey_core.record import Record, Writer
from caisey_server import projections
from tests.server.engine import Engine
from tests.server.world import (
    CLOSED,
    DENIED,
    FINISHED,
    GRANTED,
    HELD,
    NOTE,
    PROPOSED,
    VERDICT,
    key,
)

STARTED = ActionStarted(verdict=VERDICT, decisions=(), account="", policy="", roster=1, instance="")
ANSWERS: dict[str, tuple[str, str, Body]] = {
    "action.started": ("desk", "action", STARTED),
    "action.refused": ("desk", "action", ActionRefused(code="", why="")),
    "action.expired": ("desk", "action", ActionExpired(waited_ms=1)),
    "action.finished": ("desk", "action", FINISHED),
    "action.unknown": ("desk", "action", ActionUnknown(why="")),
    "action.withdrawn": ("ana", "action", ActionWithdrawn(reason="")),
    "approval.denied": ("sam", "hold", DENIED),
    "approval.granted": ("sam", "hold", GRANTED),
    "note.added": ("sam", "", NOTE),
    "session.closed": ("ana", "", CLOSED),
}


def tables(engine: Engine) -> dict[str, list[Any]]:
    """Every projection, as it stands."""
    connection = engine.sequencer.journal.connection
    return {
        table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608
        for table in ("endpoints", "sessions", "holds", "said")
    }


class Story:
    """A session in which things are held and answered."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.first, self._ana = engine.open(engine.world.ana, engine.world.desk)
        self._writers = {name: Writer(key(name), self.first.log) for name in ("desk", "sam")}
        self._writers["ana"] = self._ana

    def say(self, name: str, kind: str, body: Body, re: dict[str, str] | None = None) -> Record:
        """One record, committed."""
        record = self._writers[name].write(kind, body, time=1, re=re)
        self.engine.places(self.engine.append([record]))
        return record

    def hold(self, body: Body = HELD) -> tuple[Record, Record]:
        """An action that is held."""
        action = self.say("ana", "action.proposed", PROPOSED)
        return action, self.say("desk", "action.held", body, {"action": action.digest})

    def answer(self, kind: str, action: Record, hold: Record) -> None:
        """What comes of it."""
        name, role, body = ANSWERS[kind]
        self.say(name, kind, body, {role: (action if role == "action" else hold).digest} if role else None)


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_hold_waits_until_it_cannot_be_answered_any_more(tmp_path: Path, kind: str) -> None:
    engine = Engine(tmp_path / "journal.db")
    story = Story(engine)
    other, another = story.hold(), story.hold()
    assert len(tables(engine)["holds"]) == 2
    story.answer(kind, *other)
    left = {row[0] for row in tables(engine)["holds"]}
    waits = kind in {"approval.granted", "note.added", "session.closed"}
    assert left == ({other[1].digest} if waits else set()) | {another[1].digest}
    engine.sequencer.journal.close()


def test_the_technicians_own_confirmation_is_nobody_elses_to_give(tmp_path: Path) -> None:
    from msgspec.structs import replace

    engine = Engine(tmp_path / "journal.db")
    Story(engine).hold(replace(HELD, quorum=None))
    assert tables(engine)["holds"] == []
    engine.sequencer.journal.close()


def test_sessions_know_their_length_and_end(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "journal.db")
    story = Story(engine)
    story.say("ana", "session.closed", CLOSED)
    endpoint = engine.world.roster.endpoint(engine.world.desk.public)
    assert endpoint is not None
    assert tables(engine)["sessions"] == [
        (story.first.log, endpoint.id, engine.world.ana.public, 1_000_000, 1, 2),
    ]
    engine.sequencer.journal.close()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["hold", *ANSWERS])), max_size=25))
def test_rebuilt_from_the_records_they_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    engine = Engine(tmp_path_factory.mktemp("rebuild") / "journal.db")
    stories = [Story(engine), Story(engine)]
    holds: list[tuple[Story, Record, Record]] = []
    for number, step in steps:
        story = stories[number % 2]
        if step == "hold":
            holds.append((story, *story.hold()))
        elif holds:
            owner, action, hold = holds[number % len(holds)]
            owner.answer(step, action, hold)
    before = tables(engine)
    with engine.sequencer.journal.transaction() as connection:
        projections.rebuild(connection)
    assert tables(engine) == before
    assert len(before["endpoints"]) == 2
    engine.sequencer.journal.close()
