"""One running relay: what its two doors, the socket and HTTP, have in common."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from caisey_core import frames
from caisey_core.api import ChallengeIssued
from caisey_core.connection import is_loopback
from caisey_core.grants import Grant
from caisey_core.kinds import AdmissionRefused, EndpointCloned, LoginRefused, Twin
from caisey_core.logs import Teller
from caisey_core.roster import Endpoint, Member
from caisey_core.signing import SigningKey, fingerprint
from caisey_server import admission
from caisey_server.admission import Denial, Directory, Door, Standing, denial
from caisey_server.audit import QUIET, Note, Refusal, Tally
from caisey_server.challenges import Challenges
from caisey_server.fanout import Follower, Hub
from caisey_server.home import Home
from caisey_server.limits import Addresses, Bucket
from caisey_server.log import EmbeddedLog

_say = Teller(__name__)
_PROBE_SECONDS: Final = 30.0
_LIVING_SECONDS: Final = 3.0
"""How long an endpoint's older connection may take to show that it lives; so long its next one waits."""
_TOKEN_MS: Final = 12 * 60 * 60 * 1000
_MOST: Final = 10_000
_READY_SECONDS: Final = 1.0
"""How long an answer to whether the relay is ready is good for."""
_BEAT_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 5.0
"""How long connections have to take the receipts they are owed, once the relay is being stopped."""
RESTARTS: Final = (1012, frames.RESTARTS)
"""What a peer is told whose relay is being stopped: it is to come again."""
_LOGINS: Final = 20.0
_LOGINS_AT_ONCE: Final = 40.0
_LOGINS_AT_ONCE_HERE: Final = 100.0


def now_ms() -> int:
    """The relay's clock: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A probe on its way: who asked, under which number, of which endpoint, when (monotonic seconds)."""

    asker: Follower
    id: int
    endpoint: str
    at: float


class Presence:
    """Which endpoints are connected, and the probes between them and those who ask.

    One connection speaks for an endpoint. Whoever comes with the same key waits until the one before is asked whether
    it lives (`older`): one that was left half open is silent, another machine with a copy of the key is not.
    """

    def __init__(self) -> None:
        self.cloned: dict[str, str] = {}
        """Endpoints of which that was so, by id, and what is said of it; until their key is removed."""
        self._here: dict[str, Follower] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._living: dict[int, tuple[Follower, asyncio.Future[frames.Alive | None]]] = {}
        self._asked: OrderedDict[int, Asked] = OrderedDict()
        self._next = 0

    def here(self, endpoint: str) -> bool:
        """Whether a socket of this endpoint is open."""
        return endpoint in self._here

    def arrive(self, endpoint: str, follower: Follower) -> None:
        """An endpoint has connected; an older connection of the same key gives way."""
        if older := self._here.get(endpoint):
            older.leave(4001, "replaced")
        self._here[endpoint] = follower

    async def older(self, endpoint: str) -> tuple[Follower, frames.Alive] | None:
        """The connection before a newcomer's, and its sign of life; None where there is none, or none that lives."""
        async with self._turns.setdefault(endpoint, asyncio.Lock()):
            older = self._here.get(endpoint)
            if older is None:
                return None
            self._next = number = self._next + 1
            answer: asyncio.Future[frames.Alive | None] = asyncio.get_running_loop().create_future()
            self._living[number] = (older, answer)
            older.post(frames.Probe(id=number, endpoint=endpoint))
            try:
                async with asyncio.timeout(_LIVING_SECONDS):
                    alive = await answer
            except TimeoutError:
                alive = None
            finally:
                del self._living[number]
            return None if alive is None else (older, alive)

    def depart(self, endpoint: str, follower: Follower) -> None:
        """A connection of an endpoint has ended."""
        if self._here.get(endpoint) is follower:
            del self._here[endpoint]
        for asked, answer in self._living.values():
            if asked is follower and not answer.done():
                answer.set_result(None)

    def ask(self, asker: Follower, probe: frames.Probe) -> str:
        """Passes a probe on; or says why not: `away`, or `rate` where too many wait for the endpoint already."""
        now = monotonic()
        while self._asked and (len(self._asked) >= _MOST or next(iter(self._asked.values())).at < now - _PROBE_SECONDS):
            self._asked.popitem(last=False)
        target = self._here.get(probe.endpoint)
        if probe.endpoint in self.cloned or target is None or target.busy:
            return "cloned" if probe.endpoint in self.cloned else "away" if target is None else "rate"
        self._next += 1
        self._asked[self._next] = Asked(asker, probe.id, probe.endpoint, now)
        target.post(frames.Probe(id=self._next, endpoint=probe.endpoint))
        return ""

    def answer(self, follower: Follower, alive: frames.Alive) -> tuple[Follower, int] | None:
        """Who had asked what this answers, and under which number; only the endpoint that was asked can answer."""
        older, living = self._living.get(alive.id, (None, None))
        if living is not None and older is follower and not living.done():
            living.set_result(alive)
        asked = self._asked.get(alive.id)
        if asked is None or self._here.get(asked.endpoint) is not follower:
            return None
        del self._asked[alive.id]
        return (asked.asker, asked.id) if asked.at >= monotonic() - _PROBE_SECONDS else None


def cloning(twins: Sequence[Twin]) -> str:
    """Which machines use one key, as a clause."""
    told = [f"{each.host or 'one'} ({each.address}, boot {each.boot[:8]})" for each in twins]
    return f"several machines use its key: {' and '.join(told)}"


class Relay:
    """The relay. `port` is the one it listens on, set before the first login."""

    def __init__(self, home: Home, key: SigningKey, log: EmbeddedLog) -> None:
        self.home, self.key, self.log = home, key, log
        self.meters = log.meters
        self.loop = asyncio.get_running_loop()
        self.began = time.time()
        self.stopping = False
        self.hub = Hub(log, now_ms)
        self.presence = Presence()
        self.port = 0
        self._challenges = Challenges()
        self._tokens: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._tally = Tally()
        self._settling: asyncio.TimerHandle | None = None
        self._here = Addresses(_LOGINS, _LOGINS_AT_ONCE_HERE)
        self._away = Addresses(_LOGINS, _LOGINS_AT_ONCE)
        self._serving = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._beat: tuple[float, asyncio.Task[str]] | None = None

    @property
    def directory(self) -> Directory:
        """The roster as it stands."""
        return self.log.directory

    @property
    def workspace(self) -> str:
        """The workspace's root fingerprint; empty before founding."""
        return self.directory.roster.fingerprint

    # -- endpoints whose key several machines use ---------------------------------------------------------

    def clones(self, standing: Standing) -> tuple[str, ...]:
        """The endpoints in a member's scope of which that is so."""
        roster = self.directory.roster
        if not isinstance(standing, Member):
            return ()
        there = [id_ for id_ in self.presence.cloned if id_ not in roster.removed]
        return tuple(id_ for id_ in there if admission.reads(roster, standing, "", id_))

    def cloned(self, endpoint: Endpoint, twins: tuple[Twin, Twin]) -> str:
        """Puts it on record; what is said of it. Nothing is run there until an admin has removed the key."""
        self.presence.cloned[endpoint.id] = why = cloning(twins)
        self.log.tell([("endpoint.cloned", EndpointCloned(endpoint=endpoint.id, twins=twins))])
        _say.error("endpoint.cloned", why, endpoint=endpoint.id[:12])
        return why

    # -- whether it serves --------------------------------------------------------------------------------

    @contextmanager
    def serving(self) -> Iterator[None]:
        """For as long as a peer is served that has logged in."""
        self._serving += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._serving -= 1
            if not self._serving:
                self._quiet.set()

    async def unready(self) -> list[str]:
        """Why nobody is to be sent here; nothing where all is well."""
        if self._beat is None or (self._beat[1].done() and monotonic() - self._beat[0] > _READY_SECONDS):
            self._beat = (monotonic(), asyncio.create_task(self._beats()))
        why = await asyncio.shield(self._beat[1])
        return [*(["stopping"] if self.stopping else []), *([why] if why else [])]

    async def _beats(self) -> str:
        """What is wrong with the journal: `writer` where its thread has ended or hangs, `journal` where it fails."""
        if not self.log.alive:
            return "writer"
        try:
            async with asyncio.timeout(_BEAT_SECONDS):
                return "journal" if isinstance(await self.log.beat(), Denial) else ""
        except TimeoutError:
            return "writer"

    async def stop(self) -> None:
        """Lets everybody go, each with the receipts they are owed; who takes none is waited for no longer than a bound.

        Nobody may come in any more when this is called.
        """
        began, self.stopping = monotonic(), True
        _say.info("relay.stopping", "peers are told to come again", connections=len(self.hub.followers))
        for follower in list(self.hub.followers):
            follower.leave(*RESTARTS)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._quiet.wait()
        except TimeoutError:
            _say.warning("relay.impatient", "some have not taken their receipts", left=self._serving)
        _say.info("relay.drained", seconds=round(monotonic() - began, 3))

    # -- logging in ---------------------------------------------------------------------------------------

    def refuses(self, address: str) -> bool:
        """Whether this address has tried too often; this try counts."""
        if refused := self._bucket(address).refuses(monotonic()):
            self.meters.logins["rate"] += 1
        return refused

    def welcomes(self, address: str) -> None:
        """The try was a good one and does not count."""
        self._bucket(address).give_back()

    def _bucket(self, address: str) -> Bucket:
        return (self._here if is_loopback(address) else self._away).of(address)

    def stranger(self) -> Denial:
        """What a key that is not admitted is told, whoever it is."""
        if self.log.life.roster:
            return denial("login")
        return denial(
            "login",
            "this relay was restored from a backup and may not have the whole roster yet; an admin's next command "
            "gives it back",
        )

    def log_in(self, statement: bytes, sig: bytes, challenge: str | None, address: str) -> str | None:
        """The key that has proved itself with this challenge; None for every other case alike.

        A challenge of None was not given out, and nothing fits it.
        """
        door = Door(self.key.public, self.port, challenge, now_ms())
        knock = admission.log_in(self.directory, door, statement, sig)
        self.meters.logins["refused" if knock.why else "accepted"] += 1
        if knock.why:
            self.refused(Refusal(address, fingerprint(knock.key) if knock.key else "", knock.why))
            return None
        return knock.key

    def denied(self, standing: Standing, why: Denial, address: str) -> None:
        """Notes that an invitation did not let in whoever holds it. Of anybody else this notes nothing."""
        # A name in use is no refusal: another one is tried.
        if isinstance(standing, Grant) and why.code not in {"conflict", "rate", "store"}:
            self.refused(Refusal(address, fingerprint(standing.key) if standing.key else "", why.why, standing.digest))

    def refused(self, refusal: Refusal) -> None:
        """Puts a refusal on record, now or with those like it."""
        self._tell(self._tally.take(refusal, monotonic(), now_ms()))
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(QUIET, self._settle)

    def _settle(self) -> None:
        self._settling = None
        self._tell(self._tally.settle(monotonic()))
        if self._tally.waiting:
            self._settling = asyncio.get_running_loop().call_later(QUIET, self._settle)

    def close(self) -> None:
        """Puts on record what was only counted so far."""
        if self._settling is not None:
            self._settling.cancel()
        self._tell(self._tally.settle(monotonic(), all_=True))

    def _tell(self, notes: list[Note]) -> None:
        """Puts refusals on record, and says them: so many and no more, whatever comes."""
        for kind, said in notes:
            if isinstance(said, LoginRefused | AdmissionRefused):
                _say.warning(kind, said.why, address=said.address, key=said.key, count=said.count)
        self.log.tell(notes)

    def challenge(self) -> ChallengeIssued:
        """A nonce to sign, good once and for a minute."""
        now = now_ms()
        nonce = self._challenges.issue(now)
        return ChallengeIssued(nonce=nonce, relay=self.key.public, workspace=self.workspace, time=now)

    def redeem(self, nonce: str) -> bool:
        """Uses a challenge up; False if it was not given out, was used, or is too old."""
        return self._challenges.redeem(nonce, now_ms())

    def token(self, key: str) -> tuple[str, int]:
        """A bearer token for a key that has proved itself, and when it ends (ms)."""
        token, expires = secrets.token_urlsafe(32), now_ms() + _TOKEN_MS
        self._tokens[token] = (key, expires)
        if len(self._tokens) > _MOST:
            self._tokens.popitem(last=False)
        return token, expires

    def bearer(self, token: str) -> str | None:
        """Whose token this is."""
        key, expires = self._tokens.get(token, ("", 0))
        return key if expires >= now_ms() else None
