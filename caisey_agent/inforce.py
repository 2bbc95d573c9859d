"""The policy an endpoint judges by: the roster's, and never an older one than it has known, whatever it is shown."""

from __future__ import annotations

import asyncio
from typing import Final

from caisey_agent.home import POLICY_KNOWN
from caisey_core.journal import Journal
from caisey_core.logs import Teller
from caisey_core.policyfile import in_force
from caisey_core.roster import Roster
from caisey_core.ruling import Policy

_say = Teller(__name__)
_UNREAD: Final = Policy("", broken="The policy has not been read yet.")


class InForce:
    """Which policy that is; until one was read, everything is denied."""

    def __init__(self, journal: Journal) -> None:
        self.policy = _UNREAD
        self._journal = journal

    @property
    def _known(self) -> int:
        return int(self._journal.setting(POLICY_KNOWN) or 0)

    def remember(self, roster: Roster) -> None:
        """Keeps the version that a roster shows."""
        if roster.policy_version > self._known:
            self._journal.set(POLICY_KNOWN, str(roster.policy_version))

    async def read(self, roster: Roster) -> None:
        """Puts a roster's policy in force, read in a thread: to judge all of its examples takes a second.

        Whoever calls this judges nothing and changes no roster until it returns, so nothing is judged by an older
        policy than is known, and none overtakes another.
        """
        before = self.policy
        self.policy = await asyncio.to_thread(in_force, roster, self._known)
        if before is not _UNREAD and self.policy.label != before.label:
            _say.info("policy.in_force", f"the policy in force is {self.policy.label}")
        if self.policy.broken and self.policy.broken != before.broken:
            _say.error("policy.broken", f"nothing runs: {self.policy.broken}")
