"""A scripted relay at the other end of a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec
import pytest

from caisey_core import frames
from caisey_core.frames import WIRE, Entry, Frame
from caisey_core.link import (
    Broken,
    Event,
    Link,
    Received,
)
from caisey_core.record import Record, parse
from tests.core.golden import session
from tests.core.world import INCARNATION, NOW, key, public

ORIGIN, WORKSPACE = "https://relay.example", "SHA256:workspace"
BOOK = session()
LOG = parse(BOOK.entries[0].sealed).log


@dataclass
class Relay:
    """The other end, as far as a test needs it: what it says, and what it was told."""

    link: Link
    told: list[frames.ToRelay] = field(default_factory=list)

    def connect(self, now: float = 0.0) -> None:
        """A socket, a good login, and what the peer asks for at once."""
        self.link.connected(now)
        self.challenge()
        self.hears()
        self.welcome()

    def says(self, frame: Frame) -> list[Event]:
        return self.link.received(frames.encode(frame))

    def hears(self) -> list[frames.ToRelay]:
        self.told = [frames.to_relay(data) for data in self.link.outgoing()]
        return self.told

    def challenge(self, **changes: Any) -> list[Event]:
        said = frames.Challenge(v=WIRE, nonce="c0" * 16, relay=public("relay"), workspace=WORKSPACE, time=NOW)
        return self.says(msgspec.structs.replace(said, **changes))

    def welcome(self) -> list[Event]:
        return self.says(frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW))

    def sends(self, entries: Sequence[Entry], log: str = LOG, cursor: str = "") -> list[Event]:
        return self.says(frames.Entries(log=log, entries=tuple(entries), cursor=cursor))


@pytest.fixture
def relay() -> Relay:
    nonces = count()
    return Relay(Link(key("ana"), ORIGIN, WORKSPACE, nonce=lambda: f"nonce {next(nonces)}"))


@pytest.fixture
def ready(relay: Relay) -> Relay:
    relay.connect()
    relay.hears()
    return relay


def taken(events: list[Event]) -> list[Record]:
    return [record for event in events if isinstance(event, Received) for record, _ in event.records]


def broken(events: list[Event]) -> Broken:
    assert isinstance(events[-1], Broken)
    return events[-1]


def receipt(entry: Entry, **changes: Any) -> Entry:
    """The same record with something else in its receipt."""
    return Entry(entry.sealed, msgspec.structs.replace(entry.receipt, **changes))
