"""The relay's home: its key, its journal, and the code that lets somebody claim it for a workspace."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import Final

from caisey_core import keys
from caisey_core.errors import JournalError, UsageError
from caisey_core.ids import ALPHABET, spoken
from caisey_core.signing import SigningKey

NAME: Final = "relay"


class Home:
    """A directory only its owner reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.db"
        self._claim = path / "claim"
        self._lock: int | None = None

    def enter(self) -> SigningKey:
        """Makes the home if it is not there, keeps other relays out of it, and gives the relay's key.

        Raises `JournalError` if it cannot be written or is in use, `UsageError` for a key that must not be used.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # A record lock, for it names its holder to whoever asks.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not keys.exists(self.path, NAME):
                keys.keep(self.path, NAME, SigningKey.generate(), keys.Place.FILE)
        except BlockingIOError as error:
            raise UsageError(
                f"Another relay runs in {self.path}; none was started.", hint="Stop that one, or name another --home."
            ) from error
        except OSError as error:
            raise JournalError(
                f"The relay's home {self.path} cannot be used: {error.strerror}. Nothing was started.",
                hint="Check free space and permissions, or name another --home.",
            ) from error
        return self.key()

    def key(self) -> SigningKey:
        """The relay's key. Raises `UsageError` if there is none."""
        return keys.load(self.path, NAME)

    def leave(self) -> None:
        """Lets another relay in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def claim(self) -> str:
        """The code whoever founds the workspace has to show; made once, kept until it is used."""
        if not self._claim.exists():
            letters = [secrets.choice(ALPHABET) for _ in range(8)]
            descriptor = os.open(self._claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write("".join(letters[:4]) + "-" + "".join(letters[4:]) + "\n")
        return self._claim.read_text().strip()

    def claims(self, code: str) -> bool:
        """Whether this is that code, as somebody typed it."""
        return self._claim.exists() and secrets.compare_digest(spoken(self.claim()).encode(), spoken(code).encode())

    def claimed(self) -> None:
        """The code is used up."""
        self._claim.unlink(missing_ok=True)
