"""Words for what a transcript shows: times, commands, decisions, ends, each made inert here and nowhere later.

A command is written so that a shell would read it as one simple command: what follows its first bare `; ` is ours,
never the command's. Free text of others stands in double quotes and holds none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from msgspec import Struct

from caisey_cli.checks import ending
from caisey_cli.sanitize import cut_at, inert
from caisey_cli.transcript import WITHHELD, Decided, Transcript, Work
from caisey_core.kinds import (
    ActionExpired,
    ActionProposed,
    ActionRefused,
    ActionUnknown,
    ActionWithdrawn,
    Disk,
    Facts,
    How,
    Quorum,
    Role,
)
from caisey_core.lifecycle import Step

COMMAND: Final = 240
"""Characters of a command that a line shows; of a longer one, its beginning and its end."""
TEXT: Final = 200
PROGRAMS: Final = 12
_ONE_COMMAND: Final = re.compile(
    r"""(?![A-Za-z_]\w*=)(?:[\w@%+:,./-][\w@%+=:,./-]*)(?: (?:[\w@%+=:,./-]+|'[^'\n]*'|"[^"$`\\!\n]*"))*""", re.ASCII
)
_SHELLS: Final = frozenset({"/bin/sh", "/bin/bash"})
_PLAIN: Final = re.compile(r"[\w@%+=:./-]+(?: [\w@%+=:./-]+)*", re.ASCII)
_OURS: Final = re.compile(r'["();\[\]]|\b[A-Z][a-z]+:')
# Where a name on the usual PATH is found; an empty one is a bare name.
_STANDARD: Final = frozenset({"", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"})
_USUAL: Final = frozenset(
    {
        *("DEBIAN_FRONTEND", "GIT_OPTIONAL_LOCKS", "GIT_PAGER", "GIT_TERMINAL_PROMPT", "HOME", "LANG", "LC_ALL"),
        *("MANPAGER", "NO_COLOR", "PAGER", "PATH", "SYSTEMD_COLORS", "SYSTEMD_PAGER", "TERM"),
    }
)
FULL: Final = 90
TIGHT: Final = 10
# Images that are full by design.
_IMAGES: Final = frozenset({"squashfs", "iso9660", "erofs", "cramfs", "udf"})


class Sentence(Struct, frozen=True):
    """A claim in words, inert, and the records it rests on."""

    text: str
    records: tuple[int, ...]


class Clock:
    """Times of day in one fixed offset: the zone's at the session's beginning.

    A number that no calendar holds (writers state what they like) is shown as it is.
    """

    def __init__(self, origin: int, zone: tzinfo) -> None:
        begun = _date(origin, zone) or datetime.fromtimestamp(0, zone)
        offset = begun.utcoffset() or timedelta(0)
        self._zone = timezone(offset)
        self._day = begun.date()
        self.date = begun.date().isoformat()
        shift = f"{begun:%z}"
        self.zone = f"UTC{shift[:3]}:{shift[3:5]}" if offset else "UTC"

    def minute(self, ms: int) -> str:
        """`10:02`; with its date on another day than the first."""
        return self._at(ms, "%H:%M")

    def second(self, ms: int) -> str:
        """`10:02:07`; with its date on another day than the first."""
        return self._at(ms, "%H:%M:%S")

    def _at(self, ms: int, form: str) -> str:
        at = _date(ms, self._zone)
        if at is None:
            return f"{ms} ms"
        return at.strftime(form) if at.date() == self._day else f"{at.date().isoformat()} {at.strftime(form)}"


def zone_at(ms: int) -> tzinfo:
    """This machine's zone as it was at a time (ms), so that what is told of it does not change with the season."""
    return local(ms).tzinfo or UTC


def local(ms: int) -> datetime:
    """A time on this machine; of one that its calendar does not hold here (a relay may say it), the last one."""
    try:
        return datetime.fromtimestamp(ms / 1000).astimezone()
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _date(ms: int, zone: tzinfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(ms // 1000, zone)
    except (ValueError, OverflowError, OSError):
        return None


def span(ms: int) -> str:
    """`25 s`, `12 min`, `2 h 5 min`."""
    seconds = ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def tenths(number: int, unit: int) -> str:
    """`2.4` units. Whole numbers all the way: an endpoint may say one that no fraction is made of."""
    whole, rest = divmod(abs(number) * 10, unit)
    whole += 2 * rest > unit or (2 * rest == unit and whole % 2)
    return f"{'-' if number < 0 else ''}{whole // 10}.{whole % 10}"


def moment(ms: int) -> str:
    """A date and time of day on this machine, with its zone; a number that no calendar holds as it is."""
    try:
        return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M %Z")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def count(number: int, noun: str) -> str:
    """`1 record`, `2 records`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(words: Iterable[str], limit: int) -> str:
    """`a, b and 3 more`."""
    every = list(words)
    rest = len(every) - limit
    return ", ".join(every[:limit]) + (f" and {rest} more" if rest > 0 else "")


def prose(text: str | None, limit: int = TEXT) -> str:
    """Free text: inert, white space collapsed to single spaces, clipped."""
    if text is None:
        return WITHHELD
    words = inert(" ".join(text[: 8 * limit].split()))
    return words if len(words) <= limit and len(text) <= 8 * limit else f"{words[:limit].rstrip()} ..."


def told(text: str | None, limit: int = TEXT) -> str:
    """Free text that a line begins with: bare where it cannot pass for our words, else in quotes."""
    shown = prose(text, limit)
    return quoted(text, limit) if text is not None and (not shown or _OURS.search(shown)) else shown


def cut(shown: str, limit: int) -> str:
    """Text that is inert already, clipped."""
    return shown if len(shown) <= limit else f"{shown[:limit].rstrip()} ..."


def quoted(text: str | None, limit: int = TEXT) -> str:
    """Free text in double quotes, inside which there are none."""
    return WITHHELD if text is None else '"' + prose(text, limit).replace('"', "'") + '"'


def name(text: str, limit: int = 80) -> str:
    """A name: bare where it is one, else in quotes."""
    shown = prose(text, limit)
    return shown if _PLAIN.fullmatch(shown) else quoted(text, limit)


def member(text: str) -> str:
    """A writer's name in a sentence; letters of any script stand bare."""
    shown = prose(text, 80)
    return shown if re.fullmatch(r"[\w.:/&'+-]+(?: [\w.:/&'+-]+)*(?: \([\w.-]+\))?", shown) else quoted(text, 80)


def command(work: Work, limit: int = COMMAND) -> str:
    """What would run, as one simple command of a shell; of a long one, both ends and how long it is."""
    proposed = work.action.proposed
    if proposed is None:
        return f"a command {WITHHELD}"
    return clipped(line(proposed), limit, f", record {work.action.proposal.seq}")


def clipped(full: str, limit: int, where: str = "") -> str:
    """Inert; of a long text both ends, and how long it is: what matters in a command may stand at its end."""
    if len(full) <= limit and len(shown := inert(full)) <= limit:
        return shown
    tail = limit // 3
    size = len(full.encode("utf-8", "surrogatepass"))
    head, end = inert(full[: limit - tail])[: limit - tail], inert(full[-tail:])[-tail:]
    return f"{head} ... {end} ({size} bytes{where})"


def wrapped(words: str, width: int, first: str, rest: str) -> list[str]:
    """Lines of at most `width`; broken at spaces where there are any, and no character is lost but those.

    What somebody said stands on one line where it fits on one, so that it can be searched for.
    """
    rows, lead = [], first
    while True:
        room = max(20, width - len(lead))
        if len(words) <= room:
            rows.append((lead + words).rstrip())
            return rows
        at = words.rfind("; ", 2 * room // 3, room) + 1 or words.rfind(" ", room // 3, room + 1)
        begun, ends = words.rfind('"', 0, max(at, 0)), words.find('"', max(at, 0))
        if words.count('"', 0, max(at, 0)) % 2 and begun > room // 3 and 0 < ends - begun < width - len(rest) - 1:
            at = begun - (words[begun - 1] == "(")
        at = at if at > 0 else cut_at(words, room)
        rows.append((lead + words[:at]).rstrip())
        words = words[at:].lstrip(" ")
        lead = rest


def line(proposed: ActionProposed) -> str:
    """The command as one would type it, not inert: an argument list, or the shell with its script.

    A script that is one command of literal words is that command, whoever started it.
    """
    if not proposed.shell:
        return shlex.join(proposed.argv)
    if not proposed.argv and proposed.shell in _SHELLS and _ONE_COMMAND.fullmatch(proposed.script):
        return proposed.script
    return shlex.join([_program(proposed.shell), "-c", proposed.script, *proposed.argv])


def surroundings(work: Work) -> str:
    """Where and with what it would run, as far as that is not the usual; values stay out, secrets stand there."""
    proposed = work.action.proposed
    if proposed is None:
        return ""
    odd = sorted(set(proposed.environment) - _USUAL)
    odd += ["another PATH"] if set(proposed.environment.get("PATH", "/bin").split(":")) - _STANDARD else []
    home = proposed.environment.get("HOME", "/")
    where = [f"in {name(proposed.directory)}"] if proposed.directory not in {home, "/"} else []
    return ", ".join([*where, *([f"with {listed(map(name, odd), 6)}"] if odd else [])])


def _program(path: str) -> str:
    """A program by its name, but for one that only passes for it: `ls`, `/tmp/ls`."""
    directory, _, own = path.rpartition("/")
    return own if directory in _STANDARD else path


def programs(work: Work) -> str:
    """The programs it was judged to run, or what the proposal names."""
    proposed, started = work.action.proposed, work.action.started
    found = [each.argv[0] for each in started.verdict.commands if each.argv and each.argv[0]] if started else []
    if proposed is None and not found:
        return WITHHELD
    if not found and proposed is not None:
        found = [proposed.shell or (proposed.argv[0] if proposed.argv else "")]
    return "+".join(dict.fromkeys(name(_program(each or ""), 40) for each in found))


# -- decisions and ends -----------------------------------------------------------------------------------


def decided(transcript: Transcript, work: Work) -> str:
    """`approved by sam after 25 s`, `confirmed by ana alone (solo workspace)`, `no approval was needed`."""
    counted = [each for each in work.decisions if each.counted and each.verb != "denied"]
    approvals = [each for each in counted if each.verb == "approved"]
    parts = [
        f"confirmed by {member(transcript.who(each.placed))}" + (" alone (solo workspace)" if each.alone else "")
        for each in counted
        if each.verb == "confirmed"
    ]
    if approvals:
        parts.append("approved by " + " and ".join(_approval(transcript, each) for each in approvals))
    if parts:
        return ", ".join(parts)
    return "no approval was needed" if work.ran else ""


def _approval(transcript: Transcript, each: Decided) -> str:
    comment = f" ({quoted(each.said)})" if each.said or each.said is None else ""
    return f"{member(transcript.who(each.placed))} after {span(each.after_ms)}{comment}"


def wanted(quorum: Quorum | None, *, solo: bool) -> str:
    """Whose yes a hold asks for."""
    if quorum is None:
        return "to be confirmed alone in a solo workspace" if solo else "to be confirmed by the technician"
    return f"to be approved by {others(quorum)}"


def others(quorum: Quorum) -> str:
    """Who has to say yes: `another member`, `another admin or approver`, `2 other admins`."""
    return f"{'another' if quorum.members == 1 else f'{quorum.members} other'} {able(quorum)}"


def able(quorum: Quorum) -> str:
    """Those whose yes counts, as many as are asked for: `member`, `admins or approvers`."""
    roles = [each.value for each in Role if each in quorum.roles]
    names = ["member"] if len(roles) == len(Role) else roles
    return " or ".join(each if quorum.members == 1 else f"{each}s" for each in names)


def among(quorum: Quorum) -> str:
    """Whose yes counts, where not every member's does; begins with a blank then."""
    roles = [each for each in Role if each in quorum.roles]
    return "" if len(roles) == len(Role) else f" ({' or '.join(each.value for each in roles)})"


def late(transcript: Transcript, work: Work) -> str:
    """Answers that decided nothing any more."""
    idle = [each for each in work.decisions if not each.counted and work.action.step is not Step.HELD]
    return ", ".join(f"{each.verb} by {member(transcript.who(each.placed))} without effect" for each in idle)


def ended(transcript: Transcript, work: Work) -> str:
    """How it ended: `exit 0`, `timed out after 60 s`, `cancelled by ana`, and what was cut from its output."""
    finished = work.action.finished
    if finished is None:
        return f"result {WITHHELD}" if work.action.step is Step.FINISHED else ""
    words = prose(ending(finished), 160)
    if finished.how is How.TIMED_OUT:
        words += f" after {span(finished.duration_ms)}"
    if finished.how is How.CANCELLED and work.action.cancellation is not None:
        words += f" by {member(transcript.who(work.action.cancellation))}"
    if finished.truncated:
        words += f"; output cut at {finished.kept_bytes} of {finished.stdout_bytes + finished.stderr_bytes} bytes"
    return words


def again(transcript: Transcript, work: Work) -> str:
    """Says that the same had been denied before."""
    denials = [other.action.denial for other in transcript.denied_before(work) if other.action.denial]
    if not denials:
        return ""
    who = member(transcript.who(denials[-1]))
    return f"the same as {who} denied (record {denials[-1].seq})"


def refusal(transcript: Transcript, work: Work, clock: Clock) -> str:
    """Why nothing ran: `by sam after 40 s: "would delete the directory"`, by its step."""
    action = work.action
    body = action.end.record.body if action.end else None
    proposer = member(transcript.who(action.proposal))
    match action.step:
        case Step.DENIED:
            denial = next(each for each in work.decisions if each.verb == "denied" and each.counted)
            why = f": {quoted(denial.said)}" if denial.said != "" else ", no reason given"
            return f"by {member(transcript.who(denial.placed))} after {span(denial.after_ms)}{why}"
        case Step.REFUSED:
            return "by the endpoint: " + quoted(body.why if isinstance(body, ActionRefused) else None)
        case Step.WITHDRAWN:
            reason = body.reason if isinstance(body, ActionWithdrawn) else None
            return f"by {proposer} at {clock.minute(action.end.received if action.end else 0)}" + (
                ", no reason given" if reason == "" else f": {quoted(reason)}"
            )
        case Step.EXPIRED:
            waited = f" within {span(body.waited_ms)}" if isinstance(body, ActionExpired) else ""
            return f"nobody answered{waited}, asked by {proposer} at {clock.minute(action.proposal.received)}"
        case Step.UNKNOWN:
            why = quoted(body.why if isinstance(body, ActionUnknown) else None)
            return f"it may have run, and nobody can say how it ended: {why}"
        case _:
            asked = f"asked by {proposer} at {clock.minute(action.proposal.received)}"
            held = action.held if action.step is Step.HELD else None
            return f"{wanted(held.quorum, solo=held.solo)}, {asked}" if held else asked


# -- what the endpoint showed -----------------------------------------------------------------------------


def unusual(facts: Facts) -> list[str]:
    """What of the facts asks for attention."""
    found = []
    if facts.failed_services:
        found.append(listed((name(unit(each)) for each in facts.failed_services), 6) + " failed")
    full = [each for each in fullest(facts) if each.used_percent >= FULL]
    found += [f"{name(each.mount)} {each.used_percent} % full" for each in full]
    free = memory_free(facts)
    if free is not None and free < TIGHT:
        found.append(f"only {free} % of memory available")
    if facts.load_centi and facts.cpus and facts.load_centi[0] > 200 * facts.cpus:
        found.append(f"load {load(facts)} on {count(facts.cpus, 'CPU')}")
    if facts.uptime_s is not None and facts.uptime_s < 3600:
        found.append(f"up for only {span(1000 * facts.uptime_s)}")
    return found


def usual(facts: Facts) -> str:
    """What was measured, where nothing asks for attention; what is not known is said."""
    services, disks, free = facts.failed_services, fullest(facts), memory_free(facts)
    parts = [
        "failed services not known" if services is None else "no failed service",
        f"disks at most {disks[0].used_percent} % full" if disks else "disks not known",
        "memory not known" if free is None else f"{free} % of memory available",
        f"load {load(facts)}" if facts.load_centi else "load not known",
        "uptime not known" if facts.uptime_s is None else f"up {_uptime(facts.uptime_s)}",
    ]
    return ", ".join(parts)


def machine(facts: Facts) -> str:
    """What kind of machine it says it is."""
    parts = [name(each) for each in (facts.hostname, facts.os, facts.kernel and f"kernel {facts.kernel}") if each]
    return ", ".join(parts)


def unit(text: str) -> str:
    """A service without its suffix."""
    return text.removesuffix(".service")


def fullest(facts: Facts) -> list[Disk]:
    """The file systems that are fullest, each once."""
    found = sorted((each for each in facts.disks or () if each.fstype not in _IMAGES), key=_by_fill)
    # A device that is mounted in several places is one file system; `tmpfs` is no device.
    once = {each.device if each.device.startswith("/dev/") else each.mount: each for each in reversed(found)}
    return sorted(once.values(), key=_by_fill)[:4]


def _by_fill(disk: Disk) -> tuple[int, str]:
    return -disk.used_percent, disk.mount


def memory_free(facts: Facts) -> int | None:
    """Per cent of memory that is available."""
    memory = facts.memory
    return 100 * memory.available // memory.total if memory and memory.total else None


def load(facts: Facts) -> str:
    """The load of the last minute."""
    load = facts.load_centi[0] if facts.load_centi else 0
    return f"{load // 100}.{load % 100:02}"


def _uptime(seconds: int) -> str:
    return count(seconds // 86400, "day") if seconds >= 86400 else span(1000 * seconds)
