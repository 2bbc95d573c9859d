"""Tells the service manager how the agent is: one datagram for each state to the socket in `NOTIFY_SOCKET`.

Without that socket nothing is told. The protocol is that of sd_notify(3); what answers to the watchdog is the worker
itself, so that a worker that hangs is started again although its socket stays open.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

_STARTING: Final = 3
"""How many intervals a start may take longer after each sign of life."""


def tell(*states: str) -> None:
    """Sends assignments such as `READY=1`. A manager that is not there, or does not listen, is no reason to stop."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.settimeout(1)
        out.sendto("\n".join(states).encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def interval() -> float | None:
    """Seconds between two signs of life: a third of what the watchdog allows; None where there is no watchdog."""
    of = os.environ.get("WATCHDOG_PID", "")
    try:
        micros = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return micros / 3_000_000 if micros > 0 and of in {"", str(os.getpid())} else None


class Manager:
    """What the agent has to say to its service manager."""

    def __init__(self) -> None:
        self.every = interval()
        self._ready = False

    def ready(self) -> None:
        """The relay has accepted the login."""
        if not self._ready:
            self._ready = True
            tell("READY=1", "STATUS=Serving.", "WATCHDOG=1")

    def alive(self) -> None:
        """The worker takes what comes. Before the first login it only asks for more time to start."""
        if self._ready:
            tell("WATCHDOG=1")
        elif self.every is not None:
            more = int(self.every * 1_000_000 * _STARTING)
            tell("STATUS=Waiting for the relay.", f"EXTEND_TIMEOUT_USEC={more}")

    def stopping(self) -> None:
        """The agent ends."""
        tell("STOPPING=1")
