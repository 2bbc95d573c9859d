"""Serves an endpoint for as long as nobody stops it, also while its journal cannot be written.

What cannot be recorded is not done: with the journal everything ends that the agent had started. Then it follows and
appends nothing, and tells whoever asks for a sign of life why it runs nothing. When the journal takes writes again, a
new instance begins from what is on disk, as after any restart.

Where the policy lets what runs go on unrecorded, the same instance goes on, and writes then what it could not. Until
then a word to stop is all that it hears (`hearing`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from caisey_agent.agent import Agent
from caisey_agent.hearing import Hearing
from caisey_agent.home import AgentHome
from caisey_agent.machine import Machine
from caisey_agent.notify import Manager
from caisey_agent.work import Work
from caisey_core.connection import Connection
from caisey_core.errors import JournalError
from caisey_core.ids import LogId
from caisey_core.link import Broken, CaughtUp, Link, Nudged, Probed, Ready, Received
from caisey_core.logs import Teller

_say = Teller(__name__)
_AGAIN_SECONDS: Final = 2.0
"""Between two looks whether the journal takes writes."""
_CHARACTERS: Final = 256


async def serve(home: AgentHome, manager: Manager, *, on_ready: Callable[[], None], relay: str = "") -> None:
    """Serves until it is cancelled. `relay`: its address where that is not the one it had at joining."""
    going: list[tuple[LogId, Work]] = []
    own = Machine()
    try:
        while True:
            agent = None
            try:
                with home.journal() as journal:
                    agent = Agent(
                        home,
                        journal,
                        on_ready=on_ready,
                        on_alive=manager.alive,
                        every=manager.every,
                        relay=relay,
                        own=own,
                        going=going,
                    )
                    await agent.run()
            except JournalError as error:
                if agent is not None:
                    going = agent.going
                _say.error("journal.failed", f"{error} {error.hint}".strip())
                if going:
                    _say.warning("action.runs_on", "it is recorded when there is room", actions=len(going))
                why = str(error).removesuffix(" Nothing was started.").rstrip(".")[:_CHARACTERS]
                await _mute(home, manager, why, on_ready, relay, own, going)
                _say.warning("journal.recovered", "the journal takes writes again")
                own = own if any(work.runs for _, work in going) else Machine()
    finally:
        # Whatever ends the agent ends what it has started.
        for _, work in going:
            work.task.cancel()
        await asyncio.gather(*(work.task for _, work in going), return_exceptions=True)


async def _mute(
    home: AgentHome,
    manager: Manager,
    why: str,
    on_ready: Callable[[], None],
    relay: str,
    own: Machine,
    going: list[tuple[LogId, Work]],
) -> None:
    """Says why nothing is run, until the journal can be written."""
    membership = home.membership()
    link = Link(home.key(), relay or membership.relay, membership.workspace, nonce=lambda: secrets.token_hex(16))
    connection = Connection(link, persistent=True, plain_text_on=membership.plain_text_on)
    hearing = Hearing(link, LogId(membership.roster), going)

    async def answer() -> None:
        async for event in connection.events():
            match event:
                case Ready():
                    on_ready()
                case Probed(id=id_):
                    link.answer(own.alive(id_, trouble=why))
                case Received(log=log, records=records):
                    hearing.take(log, records)
                case CaughtUp(log=log):
                    hearing.current(LogId(log))
                case Nudged():
                    manager.alive()
                case Broken(why=broken):
                    _say.error("connection.broken", broken)
                case _:
                    pass
            connection.flush()

    async with connection:
        answering = asyncio.create_task(answer())
        try:
            while not _takes_writes(home):
                connection.nudge()
                done, _ = await asyncio.wait([answering], timeout=_AGAIN_SECONDS)
                for task in done:
                    task.result()
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


def _takes_writes(home: AgentHome) -> bool:
    try:
        with home.journal() as journal:
            journal.touch()
    except JournalError:
        return False
    return True
