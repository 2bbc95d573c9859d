"""A front that needs no terminal: it answers in the order given, and remembers what was said."""

from __future__ import annotations

import asyncio


class Front:
    """Somebody who answers in the order given, and remembers what was said."""

    def __init__(self, *answers: str, attended: bool = False) -> None:
        self.attended = attended or bool(answers)
        self.answers = list(answers)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.streams = {"stdout": b"", "stderr": b""}
        self.unanswered = asyncio.Event()
        self.width = 100

    def say(self, text: str) -> None:
        self.said.append(text)

    def waiting(self, text: str) -> None:
        pass

    async def out(self, stream: str, data: bytes) -> bool:
        self.streams[stream] += data
        return True

    async def end(self) -> None:
        pass

    async def ask(self, prompt: str) -> str:
        self.asked.append(prompt)
        if not self.answers:
            self.unanswered.set()
            await asyncio.Event().wait()
        return self.answers.pop(0)

    @property
    def talk(self) -> str:
        return "\n".join(self.said)
