"""Sessions in memory, told in a few lines: real keys, real writers, receipts that chain, a folded roster.

    story = Story(ticket="48211", reason="nothing prints")
    story.observe(failed_services=("cups.service",))
    story.read("df -h /var", out="...", status=0)
    first = story.check("lpstat -p reception", expect="is idle", out="reception disabled")
    story.deny("rm -rf /var/spool/cups", by="sam", after=40, reason="would delete the directory")
    story.change("systemctl restart cups", approve="sam", after=25)
    story.check("lpstat -p reception", expect="is idle", out="reception is idle", again=first)
    story.close()
    assert "passed" in story.text()

The tape runs by itself (a second a record); `at("10:14")` and `wait(30)` move it on. Everything is deterministic.
Single records: `propose`, `hold`, `confirm`, `approve`, `refuse`, `start`, `output`, `finish` and the others return the
`Record` they wrote. `write` takes any kind from any key.
"""

from __future__ import annotations

from datetime import UTC, tzinfo

from caisey_cli.evidence import examine
from caisey_cli.note import Note, text, write_note
from caisey_cli.transcript import Transcript
from caisey_core.chain import Report
from caisey_core.frames import Entry
from caisey_core.kinds import (
    CHUNK_LIMIT,
    Class,
    Expectation,
)
from caisey_core.record import Record
from tests.cli.tape import Tape, verdict
from tests.cli.workspace import INSTANCE, Log, Workspace, facts, key, moment, public

__all__ = ["INSTANCE", "Log", "Story", "Workspace", "facts", "key", "moment", "public", "verdict"]


class Story(Tape):
    """A session as it happens."""

    # -- whole scenes -------------------------------------------------------------------------------------

    def read(
        self,
        command: str,
        *,
        out: str = "",
        err: str = "",
        status: int = 0,
        script: bool = False,
        programs: tuple[str, ...] = (),
        check: Expectation | None = None,
        again: Record | None = None,
    ) -> Record:
        """A read-only command that runs at once."""
        action = self.propose(command, script=script, check=check, again=again)
        self.start(action, programs=programs)
        self._end(action, out, err, status)
        return action

    def check(
        self,
        command: str,
        *,
        expect: str | None = None,
        expect_exit: int | None = None,
        out: str = "",
        err: str = "",
        status: int = 0,
        again: Record | None = None,
        claimed: bool | None = None,
        claim: bool = True,
    ) -> Record:
        """A check, run and recorded; `claimed` is what the technician's record says, if not the truth."""
        action = self.propose(command, check=Expectation(text=expect, exit=expect_exit), again=again)
        self.start(action)
        finished = self._end(action, out, err, status)
        if claim:
            self.verify(action, finished, passed=claimed)
        return action

    def change(
        self,
        command: str,
        *,
        approve: str | tuple[str, ...] = (),
        after: float = 5,
        comment: str = "",
        status: int = 0,
        out: str = "",
        err: str = "",
        script: bool = False,
        risk: Class = Class.PERSISTENT,
        reason: str = "",
    ) -> Record:
        """A change, approved by these members `after` seconds each; by none: confirmed by the technician."""
        approvers = (approve,) if isinstance(approve, str) else approve
        action = self.propose(command, script=script, reason=reason)
        alone = not approvers
        hold = self.hold(
            action, members=len(approvers), confirm=alone and not self.solo, solo=alone and self.solo, risk=risk
        )
        decisions = []
        for each in approvers:
            self.now = self.now - 1000 + int(1000 * after)
            decisions.append(self.approve(hold, each, comment=comment))
        if alone:
            decisions = [self.confirm(hold, typed=self.workspace.endpoint.name.partition("/")[2] if self.solo else "")]
        self.start(action, *decisions, risk=risk)
        self._end(action, out, err, status)
        return action

    def deny(self, command: str, *, by: str = "sam", after: float = 40, reason: str = "") -> Record:
        """A proposal that is denied."""
        action = self.propose(command)
        hold = self.hold(action)
        self.now = self.now - 1000 + int(1000 * after)
        self.refuse(hold, by, reason=reason)
        return action

    def _end(self, action: Record, out: str, err: str, status: int) -> Record:
        """Output in pieces as an agent cuts it (only the last of each is signed), and the end."""
        whole = {"stdout": out.encode("utf-8", "surrogateescape"), "stderr": err.encode("utf-8", "surrogateescape")}
        for stream, data in whole.items():
            pieces = [data[at : at + CHUNK_LIMIT] for at in range(0, len(data), CHUNK_LIMIT)]
            for piece in pieces:
                self.output(action, piece, stream, sign=piece is pieces[-1])
        return self.finish(action, status=status, out=whole["stdout"], err=whole["stderr"])

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def entries(self) -> list[Entry]:
        """The session's log."""
        return self.log.entries

    def transcript(self, me: str = "") -> Transcript:
        """Its fold; `me` is a name."""
        return Transcript.of(self.entries, self.workspace.roster, key(me).public if me else "")

    def report(self) -> Report:
        """Whether it holds."""
        return examine(self.entries, self.checkpoints, self.workspace.roster)

    def written(self, zone: tzinfo = UTC) -> Note:
        """Its note."""
        return write_note(self.transcript(), self.report(), zone)

    def text(self, cite: bool = False, zone: tzinfo = UTC) -> str:
        """Its note as plain text."""
        return text(self.written(zone), cite)
