"""`caisey-agent` that holds anew what waits, as destructive, once a file is there: `holds_anew.py FILE WORDS...`.

An agent of today holds each action once; what may answer a hold must not rest on that.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from msgspec import structs

from caisey_agent.__main__ import main
from caisey_agent.room import Room
from caisey_core.ids import Digest
from caisey_core.kinds import ActionHeld, Body, Class

if __name__ == "__main__":
    told, really = Path(sys.argv.pop(1)), Room._write

    async def holds_anew(room: Room, held: ActionHeld, re: dict[str, str]) -> None:
        """Once it is told to, if it still waits."""
        while not told.exists():  # noqa: ASYNC110, ASYNC240  (another process makes it)
            await asyncio.sleep(0.02)
        if Digest(re["action"]) in room._held:
            verdict = structs.replace(held.verdict, risk=Class.DESTRUCTIVE)
            really(room, "action.held", structs.replace(held, verdict=verdict, nonce="a" * len(held.nonce)), re)

    def writes(room: Room, kind: str, body: Body, re: dict[str, str]) -> None:
        """What it writes, and in time another hold."""
        really(room, kind, body, re)
        if isinstance(body, ActionHeld):
            room._spawn("anew", asyncio.create_task(holds_anew(room, body, re)))

    setattr(Room, "_write", writes)  # noqa: B010  (a method is no variable)
    main()
