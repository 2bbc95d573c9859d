"""How things stand with relay and agent: from signs of life to one word, its cause, and what may be done.

| word | rule |
|---|---|
| connecting | the relay has not answered yet since the view was opened |
| opening | the relay is there; the session is not followed yet |
| asking | the session is followed; the agent has not been heard yet |
| live | the agent was heard within the last `STALE` seconds, through its worker |
| stale | it was heard longer ago than that, and nobody has said why |
| agent gone | the relay says that the agent is not connected |
| agent hung | the agent has a connection; its worker did not answer within `PROBE` seconds |
| not recording | the agent answers, or the relay does, and its journal takes no writes: nothing is started |
| reconnecting | the relay was there and has been lost for at most `GONE` seconds |
| relay gone | it has been lost for longer, or answers nothing any more; it is tried again all the time |
| offline | the relay has not been there at all, or admits us no more: what the journal holds is read |

Pure: the time comes in. Light: the view shows its first state before anything that reads records is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STALE: Final = 12.0
"""Seconds without a sign of life until what is shown is called stale."""
PROBE: Final = 5.0
"""Seconds an agent's worker is given for its answer (`caisey_core.link.PROBE_SECONDS`)."""
GONE: Final = 10.0
"""Seconds for which a lost relay is only being reconnected to."""
_SAID_AFTER: Final = 0.5


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known, times in seconds of one clock. `lost`: since when the relay is not there; None: it is.
    `restarts`: it has said, before it went, that it comes back.

    `heard`: the agent's last sign of life. `missing`: `away` or `silent`, as the relay or the lack of an answer says,
    since `missed`. `trouble`: why the agent cannot record; `unwritten`: the relay cannot. `offline`: why nothing is
    connected, as a sentence. `hopeless`: it is not tried again.
    """

    began: float
    ever: bool = False
    lost: float | None = None
    restarts: bool = False
    entered: bool = False
    heard: float | None = None
    missing: str = ""
    missed: float = 0.0
    relay_silent: bool = False
    trouble: str = ""
    unwritten: bool = False
    offline: str = ""
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A word with its tone; `since`: seconds it has lasted or is old, None where there is nothing to tell.

    `cause` is a sentence, empty where all is well. `writes`: records reach the relay. `runs`: commands reach the agent.
    """

    word: str
    tone: str
    since: float | None = None
    cause: str = ""
    writes: bool = False
    runs: bool = False

    @property
    def text(self) -> str:
        """`live 0.3 s`."""
        if self.since is None:
            return self.word
        if self.since < 1:
            return f"{self.word} {self.since:.1f} s"
        from caisey_cli import wording

        return f"{self.word} {wording.span(int(self.since * 1000))}"


def state(signs: Signs, now: float) -> State:
    """The state of a view's line."""
    if signs.offline:
        return _offline(signs)
    if not signs.ever:
        waited = now - signs.began
        cause = "The relay has not answered yet." if waited > _SAID_AFTER else ""
        return State("connecting", "busy", waited if waited > _SAID_AFTER else None, cause)
    if signs.lost is not None:
        return _lost(now - signs.lost, restarts=signs.restarts)
    if signs.relay_silent:
        cause = "The relay holds the connection and answers nothing. Everything here can be read; nothing can be sent."
        return State("relay gone", "bad", now - signs.missed, cause)
    if signs.unwritten:
        cause = "The relay cannot write its journal. Everything here can be read; nothing can be sent."
        return State("not recording", "bad", None, f"{cause} It goes on by itself when it can.")
    if not signs.entered:
        waited = now - signs.began
        return State("opening", "busy", waited if waited > _SAID_AFTER else None, "The session is being opened.")
    return _agent(signs, now)


def _offline(signs: Signs) -> State:
    again = "It is not tried again." if signs.hopeless else "It is tried again by itself."
    return State("offline", "bad", None, f"{signs.offline} Everything here can be read; nothing can be sent. {again}")


def _lost(since: float, *, restarts: bool) -> State:
    if since <= GONE:
        what = "is being restarted, and what runs goes on" if restarts else "is lost"
        return State("reconnecting", "warn", since, f"The relay {what}; it is tried again. Nothing can be sent.")
    cause = "The relay is gone; it is tried again by itself. Everything here can be read; nothing can be sent."
    return State("relay gone", "bad", since, cause)


def _agent(signs: Signs, now: float) -> State:
    if signs.missing == "away":
        cause = "The endpoint's agent is not connected to the relay: it is off, asleep, or has no network."
        return State("agent gone", "bad", now - signs.missed, cause, writes=True)
    if signs.missing:
        cause = f"The agent is connected, but does not answer within {PROBE:.0f} s."
        return State("agent hung", "bad", now - signs.missed, cause, writes=True)
    if signs.trouble:
        cause = f"The endpoint runs nothing, for it cannot record: {signs.trouble}. It goes on by itself when it can."
        return State("not recording", "bad", None, cause, writes=True)
    if signs.heard is None:
        return State("asking", "busy", None, "The relay is there; the agent is being asked.", writes=True, runs=True)
    age = now - signs.heard
    if age > STALE:
        cause = f"Nothing has been heard of the agent for more than {STALE:.0f} s; it is being asked."
        return State("stale", "warn", age, cause, writes=True, runs=True)
    return State("live", "good", age, writes=True, runs=True)
