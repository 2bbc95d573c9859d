"""What is queued at the relay has a bound, and whoever is slower than it is let go (docs/reliability.md, Bounds)."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from caisey_core import frames
from caisey_server import challenges, websocket
from caisey_server import relay as relays
from caisey_server.fanout import Follower
from caisey_server.home import Home
from caisey_server.log import EmbeddedLog
from caisey_server.relay import Presence, Relay
from tests.core.world import key


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EmbeddedLog]:
    """A new relay's."""
    opened = await EmbeddedLog.open(tmp_path / "journal.db", key("relay"), lambda: 1_000_000)
    yield opened
    await opened.close()


def follower(left: list[tuple[int, str]]) -> Follower:
    """One whose peer takes nothing."""

    async def send(_data: bytes) -> None:
        await asyncio.Event().wait()

    return Follower(cast("Any", None), "k", cast("Any", None), send, lambda code, why: left.append((code, why)))


def probe(number: int, endpoint: str = "e") -> frames.Probe:
    return frames.Probe(id=number, endpoint=endpoint)


async def test_who_takes_no_answers_is_not_read_from_and_then_let_go() -> None:
    left: list[tuple[int, str]] = []
    peer = follower(left)
    busy = []
    for number in range(256):
        peer.post(probe(number))
        busy.append(peer.busy)
    assert busy == [False] * 63 + [True] * 193, "nothing more is read from it"
    assert (peer.answers, left) == (256, [])
    peer.post(probe(256))
    assert peer.answers == 256
    assert left == [(1008, "too slow")]


async def test_an_answer_that_lies_for_half_a_minute_is_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[tuple[int, str]] = []
    peer, clock = follower(left), [100.0]
    monkeypatch.setattr("caisey_server.fanout.monotonic", lambda: clock[0])
    peer.post(probe(1))
    clock[0] += 30.0
    peer.post(probe(2))
    assert left == []
    clock[0] += 0.1
    peer.post(probe(3))
    assert left == [(1008, "too slow")]


def test_of_too_many_questions_the_oldest_go() -> None:
    presence = Presence()
    asker = follower([])
    for number in range(10_100):
        # Each endpoint takes what it is asked; none has answered yet.
        target = presence._here[f"e{number}"] = follower([])
        assert presence.ask(asker, probe(number, f"e{number}")) == ""
        assert target.answers == 1
    assert len(presence._asked) == 10_000
    first = presence._here["e0"]
    assert presence.answer(first, cast("Any", types.SimpleNamespace(id=1))) is None
    last = presence._here["e10099"]
    assert presence.answer(last, cast("Any", types.SimpleNamespace(id=10_100))) == (asker, 10_099)


async def test_of_too_many_tokens_the_oldest_go(log: EmbeddedLog, tmp_path: Path) -> None:
    relay = Relay(Home(tmp_path), key("relay"), log)
    tokens = [relay.token("k")[0] for _ in range(relays._MOST + 1)]
    assert relay.bearer(tokens[0]) is None
    assert relay.bearer(tokens[1]) == "k"


def test_of_too_many_used_challenges_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenges, "_MOST", 50)
    given = challenges.Challenges()
    nonces = [given.issue(1000) for _ in range(51)]
    assert all(given.redeem(nonce, 1000) for nonce in nonces)
    assert len(given._used) == 50
    assert not any(given.redeem(nonce, 1000) for nonce in nonces[1:])


async def test_what_waits_to_be_committed_holds_up_whoever_sends_more(log: EmbeddedLog) -> None:
    log._bytes += 32 * 1024 * 1024
    await asyncio.wait_for(log.room(), 10)
    log._bytes += 1
    waiting = asyncio.create_task(log.room())
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not waiting.done()
    log._bytes -= 1
    await log.beat()
    await asyncio.wait_for(waiting, 10)


def test_the_bounds_are_those_that_are_written_down() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text().split("## Bounds")[1]
    for bound, said in (
        (websocket._FOLLOWS, "| relay | logs followed by one peer | 4,096 |"),
        (websocket._AT_ONCE, "| relay | appends of one peer on their way | 64 |"),
        (relays._MOST, "| relay | probes, tokens | 10,000 each |"),
    ):
        assert said in page
        assert f"{bound:,}" in said


async def test_who_asks_for_places_that_there_are_not_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay's own log is not filled by a peer that makes places up."""
    told: list[str] = []
    say = types.SimpleNamespace(warning=lambda event, *_words, **_more: told.append(event))
    monkeypatch.setattr(websocket, "_say", say)
    relay, socket = types.SimpleNamespace(meters=None), types.SimpleNamespace(client=None)
    life = "a1" * 16
    for count in (1, 2):
        peer = websocket._Peer(cast("Any", relay), cast("Any", socket), "k", life)
        for incarnation in ("b2" * 16, life, life, life):
            peer._is_behind(incarnation)
        assert told == ["journal.behind"] * count
