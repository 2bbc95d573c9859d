"""A journal that was put back from a backup, or copied: it does not know all that was said with its own key.

The relay names what a key has said last when it logs in. Where the journal does not have that, the sessions of this key
are compared and fetched. Somebody who uses the key elsewhere is found out by the same sign, so a sentence names both.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.signing import SigningKey

if TYPE_CHECKING:
    from caisey_cli.membership import Membership
    from caisey_core.api import SessionShape

_SETTLED: Final = "caught-up"
"""The journal's setting for what was said last when it had been caught up with, though it lies out of scope now."""


def nothing(journal: Journal, said: str) -> bool:
    """Whether the journal knows what its key has said last, by the relay's word: `said` is its digest."""
    return not said or journal.knows(said) or journal.setting(_SETTLED) == said


def known(membership: Membership, key: SigningKey) -> list[SessionShape]:
    """The sessions the relay shows this key, the newest first. A hint, never evidence. Raises `Unreachable`."""
    from caisey_cli.relay import Relay

    with Relay(membership.relay, plain_text_on=membership.plain_text_on) as relay:
        relay.log_in(membership.workspace, key)
        return list(relay.sessions())


def logs(membership: Membership, key: SigningKey, path: Path) -> list[LogId]:
    """The sessions of a key that the relay has more of than the journal, the oldest first. Raises `Unreachable`."""
    with Journal.read(path) as journal:
        mine = [each for each in reversed(known(membership, key)) if each.opener == key.public]
        return [LogId(each.log) for each in mine if journal.length(each.log) < each.seq]


def settle(journal: Journal, said: str) -> None:
    """It has been fetched."""
    journal.set(_SETTLED, said)


def told(name: str, records: int, sessions: int) -> str:
    """What there is to say of it, once."""
    where = "1 session" if sessions == 1 else f"{sessions} sessions"
    return (
        f"The relay has records in your name that this journal did not know; {records} came back, in {where}. "
        "The journal was put back from a backup, or this device's key is in use elsewhere, too. If it was "
        f"neither of your doings, tell an admin, who types: caisey remove {name}"
    )
