"""The systemd unit that serves an endpoint: text from values, nothing else.

There is little to fence in: what an agent is for is to run approved commands as this account, and a fence around the
service would be one around those commands. What remains protects the agent itself, and children keep none of it.

Pages: systemd.service(5), systemd.unit(5), systemd.exec(5), systemd.kill(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "caisey-agent.service"
MARK: Final = "# Written by 'caisey-agent install'; 'caisey-agent uninstall' removes it."
CREDENTIAL: Final = "caisey-endpoint-key"
WATCHDOG_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit says. `command`: the program and its words; `account`: empty for the manager's own.

    `key_file`: handed to the service as a credential; empty where the key lies in the home. `environment`: name and
    value of what the service needs besides.
    """

    command: tuple[str, ...]
    endpoint: str
    workspace: str
    user: bool
    account: str = ""
    key_file: Path | None = None
    environment: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """The unit's file."""
        service = [
            "Type=notify",
            "NotifyAccess=main",
            f"ExecStart={' '.join(quoted(word) for word in self.command)}",
            *([f"User={self.account}"] if self.account else []),
            *(f"Environment={quoted(f'{name}={value}', variables=False)}" for name, value in self.environment),
            *([f"LoadCredential={CREDENTIAL}:{_percent(str(self.key_file))}"] if self.key_file else []),
            "Restart=always",
            "RestartSec=5",
            "# The worker itself answers: one that hangs is ended and started again.",
            f"WatchdogSec={WATCHDOG_SECONDS}",
            "TimeoutStartSec=90",
            "TimeoutStopSec=20",
            "# The agent ends what it has started and records that; whatever is left then is killed.",
            "KillMode=mixed",
            "# A command that eats the memory is killed, the agent is not ended for it.",
            "OOMPolicy=continue",
            "# No core file with the key in it; a command may raise its own limit.",
            "LimitCORE=0:infinity",
            *([] if self.user else ["KeyringMode=private"]),
            "UMask=0022",
        ]
        return "\n".join(
            [MARK, "[Unit]", *self._unit(), "", "[Service]", *service, "", "[Install]", self._target(), ""]
        )

    def _unit(self) -> list[str]:
        described = _percent(f"Caisey agent of {self.endpoint} ({self.workspace})")
        ordering = (
            ["After=basic.target"]
            if self.user
            else ["Requires=sysinit.target", "After=sysinit.target basic.target network.target"]
        )
        return [
            f"Description={described}",
            "# It counts as started once the relay has accepted its login; without the defaults, nothing at boot",
            "# waits for that.",
            "DefaultDependencies=no",
            *ordering,
            "Conflicts=shutdown.target",
            "Before=shutdown.target",
            "StartLimitIntervalSec=0",
        ]

    def _target(self) -> str:
        return f"WantedBy={'default' if self.user else 'multi-user'}.target"


def directory(user: bool, config: Path) -> Path:
    """Where units of one's own lie. `config`: the account's configuration directory."""
    return config / "systemd" / "user" if user else Path("/etc/systemd/system")


def quoted(word: str, *, variables: bool = True) -> str:
    """One word of a command line (of an assignment, without `variables`), so that systemd reads exactly it."""
    text = _percent(word)
    if variables:
        text = text.replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$-]+", text):
        return text
    escaped = "".join(f"\\{each}" if each in '"\\' else each if each.isprintable() else _escaped(each) for each in text)
    return f'"{escaped}"'


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


def _percent(text: str) -> str:
    return text.replace("%", "%%")
