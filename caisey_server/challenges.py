"""Nonces that a login has to sign, over HTTP: good once and for a while. Pure, with the clock outside.

Nothing is kept of one that was only given out: whoever asks for them without end takes no room, and nobody else's away.
What says that it was given out here is a tag under a secret of this process; what was used is remembered until it ends.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from typing import Final

LIFETIME_MS: Final = 60_000
_MOST: Final = 100_000
"""Used ones that are remembered; each was brought by a login, and of those an address has only so many a second."""
_TIME: Final = 12
_SAID: Final = _TIME + 20


class Challenges:
    """See the module. Times are milliseconds of the relay's clock."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._used: OrderedDict[str, int] = OrderedDict()

    def issue(self, now: int) -> str:
        """A new one."""
        said = f"{now + LIFETIME_MS:0{_TIME}x}{secrets.token_hex((_SAID - _TIME) // 2)}"
        return said + self._tag(said)

    def redeem(self, nonce: str, now: int) -> bool:
        """Uses one up; False if it was not given out, was used, or is too old."""
        said, tag = nonce[:_SAID], nonce[_SAID:]
        if not hmac.compare_digest(self._tag(said).encode(), tag.encode()):
            return False
        until = int(said[:_TIME], 16)
        if until < now or said in self._used:
            return False
        while self._used and (len(self._used) >= _MOST or next(iter(self._used.values())) < now):
            self._used.popitem(last=False)
        self._used[said] = until
        return True

    def _tag(self, said: str) -> str:
        return hmac.new(self._secret, said.encode(), "sha256").hexdigest()[:32]
