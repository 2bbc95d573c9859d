"""What an endpoint goes by: the roster as it knows it, and the policy in it.

The policy is never an older one than the endpoint has known, whatever it is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from caisey_agent.home import POLICY_KNOWN
from caisey_core.errors import BadRecord
from caisey_core.frames import Receipt
from caisey_core.journal import Journal
from caisey_core.logs import Teller
from caisey_core.policyfile import in_force
from caisey_core.record import Record
from caisey_core.roster import Roster
from caisey_core.ruling import Policy

_say = Teller(__name__)
_UNREAD: Final = Policy("", broken="The policy has not been read yet.")
Placed = tuple[Record, Receipt]


class Governed:
    """See the module. Until a policy was read, everything is denied.

    `unread`: the roster has changed since. `changed`: so it has since the sessions were told (`told`).
    """

    def __init__(self, journal: Journal) -> None:
        self.roster = Roster()
        self.policy = _UNREAD
        self.unread = self.changed = False
        self._journal = journal

    @property
    def _known(self) -> int:
        return int(self._journal.setting(POLICY_KNOWN) or 0)

    def fold(self, records: Iterable[Placed]) -> None:
        """The roster anew, from records that hold. Raises `BadRecord`."""
        self.roster = Roster()
        for record, receipt in records:
            self.roster.apply(record, receipt.received)
        self.unread = self.changed = True

    def take(self, records: Iterable[Placed]) -> list[Placed]:
        """The roster's next records; gives those that hold. After one that does not, only reading runs."""
        held: list[Placed] = []
        for record, receipt in records:
            try:
                self.roster.apply(record, receipt.received)
            except BadRecord as bad:
                self.roster.understood = False
                _say.error("roster.broken", str(bad), record=receipt.seq)
                break
            held.append((record, receipt))
        if self.roster.policy_version > self._known:
            self._journal.set(POLICY_KNOWN, str(self.roster.policy_version))
        self.unread = self.changed = True
        return held

    async def read(self) -> None:
        """Puts the roster's policy in force, read in a thread: to judge all of its examples takes a second.

        Whoever calls this judges nothing and takes no records until it returns, so nothing is judged by an older
        policy than is known, and none overtakes another.
        """
        self.unread = False
        before = self.policy
        self.policy = await asyncio.to_thread(in_force, self.roster, self._known)
        if before is not _UNREAD and self.policy.label != before.label:
            _say.info("policy.in_force", f"the policy in force is {self.policy.label}")
        if self.policy.broken and self.policy.broken != before.broken:
            _say.error("policy.broken", f"nothing runs: {self.policy.broken}")

    def told(self) -> bool:
        """Whether the sessions have to be told that the roster has changed; once for each change."""
        was, self.changed = self.changed, False
        return was
