"""`caisey-agent` whose worker hangs on SIGUSR1, and then writes a file: `hung_worker.py FILE WORDS...`.

Its process lives, its socket stays open and its event loop runs on: only what takes the events waits for ever.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from caisey_agent.__main__ import main
from caisey_agent.agent import Agent

if __name__ == "__main__":
    hung = Path(sys.argv.pop(1))
    serve = Agent._serve

    async def until_it_hangs(self: Agent) -> None:
        working, enough = asyncio.create_task(serve(self)), asyncio.Event()

        def hang() -> None:
            working.cancel()
            hung.write_text("hung")
            enough.set()

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, hang)
        await enough.wait()
        await asyncio.Event().wait()

    Agent._serve = until_it_hangs  # type: ignore[method-assign]
    main()
