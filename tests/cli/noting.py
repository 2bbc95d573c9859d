"""Stories that notes are written of, and what a note says in one place."""

from __future__ import annotations

from datetime import UTC

from caisey_cli.note import cited
from caisey_cli.rows import Row, rows
from caisey_cli.transcript import Transcript
from caisey_cli.wording import Clock
from caisey_core.kinds import Class, Disk, How, Outcome
from tests.cli.story import Story
from tests.cli.workspace import moment


def full(mount: str = "/var", percent: int = 100, fstype: str = "ext4") -> Disk:
    total = 20 << 30
    used = total * percent // 100
    return Disk(
        mount=mount, device=f"/dev/{mount}", fstype=fstype, total=total, used=used, free=total - used,
        used_percent=percent,
    )  # fmt: skip


def printer() -> Story:
    """The job of `product.md`."""
    story = Story(ticket="48211", reason="nothing prints")
    story.observe(failed_services=("cups.service",), disks=(full(),))
    story.at("10:03")
    check = {"command": "lpstat -p reception", "expect": "is idle"}
    disabled = "printer reception disabled since Tue 24 Nov 2026 08:41 -\n\treason unknown\n"
    first = story.check(**check, out=disabled)  # type: ignore[arg-type]
    story.wait(20).read("df -h", out="/dev/sda3 20G 20G 0 100% /var\n")
    story.wait(40).read("journalctl -u cups -n 50", out="cupsd: No space left on device\n")
    story.wait(30).read("du -xsh /var/spool/cups", out="3.1G\t/var/spool/cups\n")
    story.wait(20).read("ls /var/spool/cups", out="d00001-001\n")
    story.wait(15).find("214 jobs, 3.1 GiB in /var/spool/cups")
    story.deny("rm -rf /var/spool/cups", by="sam", after=40, reason="would delete the directory")
    story.wait(5).change("find /var/spool/cups -name 'd*' -mtime +1 -delete", approve="sam", after=25)
    story.change("systemctl restart cups", risk=Class.REVERSIBLE)
    story.observe(disks=(full(percent=41),))
    story.at("10:14:10").check(**check, out="printer reception is idle.  enabled\n", again=first)  # type: ignore[arg-type]
    story.at("10:15:40").attest("Maria reports a printed page")
    story.at("10:16:20").close()
    return story


def mishaps() -> Story:
    story = Story(reason="spooler")
    story.observe()
    story.deny("rm -rf /srv", by="lee", after=61, reason='no, "never"')
    story.gate_refuses(story.propose("mkfs /dev/sda"), "denied by rule 'disks'")
    held = story.propose("reboot")
    story.hold(held)
    story.withdraw(held, "rebooting after hours")
    late = story.propose("apt upgrade")
    hold = story.hold(late)
    story.wait(600).expire(late)
    story.approve(hold, "sam")
    story.change("make", approve=("sam", "lee"), after=10, status=1, err="Job failed\n")
    gone = story.propose("fsck /dev/sdb")
    hold = story.hold(gone)
    story.start(gone, story.approve(hold, "sam"), risk=Class.DESTRUCTIVE)
    story.unknown(gone)
    missing = story.propose("frobnicate")
    hold = story.hold(missing)
    story.start(missing, story.approve(hold), risk=Class.UNJUDGED)
    story.finish(missing, how=How.NOT_STARTED, error="No such file or directory")
    story.hold(story.propose("halt"))
    story.close(Outcome.UNRESOLVED, unverified="machine is to be replaced")
    return story


def rows_of(transcript: Transcript) -> list[Row]:
    return rows(transcript, Clock(moment("10:02"), UTC))


def line(story: Story, label: str, cite: bool = False) -> str:
    """The rows of one label, wrapping undone."""
    note = story.written()
    found = [f"{each.text} {cited(each.records)}" if cite else each.text for each in note.lines if each.label == label]
    return "\n".join(found)
