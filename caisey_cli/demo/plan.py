"""The play: what is typed by whom, and what has to come of it. A step that does not do what it should ends the play."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from caisey_cli.demo.stage import PATIENCE, Done, Failed, Stage

ENDPOINT = "front-desk-03"
TICKET = "48211"
FOLDED = "\n  : "
"""How a card folds a command that is longer than the card is wide."""
_CODE = re.compile(r"caisey approve (a\w{6})\b")


@dataclass(slots=True)
class Play:
    """A play under way."""

    stage: Stage
    done: list[str] = field(default_factory=list)
    relay: str = ""
    note: str = ""

    def typed(self, who: str, line: str, *, status: int = 0, says: tuple[str, ...] = ()) -> Done:
        """A command that has to end with this status and say these words."""
        return self.judge(self.stage.type(who, line), status, says)

    def judge(self, done: Done, status: int, says: tuple[str, ...] = ()) -> Done:
        """Raises `Failed` for a command that did something else than it should."""
        if done.status != status:
            raise Failed(f"{done.line!r} ended with status {done.status} instead of {status}.")
        said = done.out + done.err
        said += said.replace(FOLDED, "")
        for words in says:
            if words not in said:
                raise Failed(f"{done.line!r} did not say {words!r}.")
        return done


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it shows, in a sentence, and the doing of it."""

    title: str
    do: Callable[[Play], None]


def plan() -> Iterator[Step]:
    """The steps in order."""
    yield Step("A relay starts, and sam founds a workspace on it", _found)
    yield Step("ACME's front desk joins, and so does ana, a technician", _join)
    yield Step("Nothing prints at ACME: ana declares what has to work, and sees it fail", _fails)
    yield Step("She looks around; what only reads runs at once", _looks)
    yield Step("She asks to empty the spool the rough way; sam says no", _denied)
    yield Step("She asks for less; sam sees exactly that, and approves", _changes)
    yield Step("The service starts again; a program nobody has judged needs sam, too", _starts)
    yield Step("Closing runs the check again, and now it passes", _closes)
    yield Step("The ticket note is written from the records; nobody typed it", _notes)
    yield Step("The record proves itself, also against a single changed byte", _proves)


GUIDE = """\
You are ana, a technician,
at ACME's front desk. The
printer works again; look
around. Type, then Enter:

uptime
 only reads: runs at once

:check uptime
 is repeated at the close

touch /tmp/try-it
 changes: waits for sam;
 ^C takes it back

F1  all keys and commands
F8  closes, with the note
^Q  leaves; the demo ends
"""
"""What stands beside the view a newcomer ends up in: as wide as its panel."""


def look_around(play: Play) -> None:
    """The view on the demo's endpoint, for as long as somebody stays."""
    guide = play.stage.scratch / "guide.txt"
    guide.write_text(GUIDE)
    line = f"caisey connect {ENDPOINT} 'looking around' --ticket {TICKET} --guide {shlex.quote(str(guide))}"
    if status := play.stage.look("ana", line):
        raise Failed(f"{line!r} ended with status {status} instead of 0.")


# -- setting up -------------------------------------------------------------------------------------------


def _found(play: Play) -> None:
    stage = play.stage
    stage.start(f"caisey-server run --port 0 --home {_word(stage, 'relay')}", "relay")
    play.relay = (stage.scratch / "relay.ready").read_text().strip()
    claim = (stage.scratch / "relay" / "claim").read_text().strip()
    line = f"caisey init 'Demo MSP' --relay {play.relay} --claim {claim} --member-name sam --keys file"
    play.typed("sam", line, says=("Demo MSP", "SHA256:"))


def _join(play: Play) -> None:
    stage, home = play.stage, _word(play.stage, "agent")
    machine = play.typed("sam", f"caisey invite endpoint --client ACME --name {ENDPOINT}").out.strip()
    play.typed("agent", f"caisey-agent join --home {home} {machine}", says=(ENDPOINT,))
    person = play.typed("sam", "caisey invite member --name ana --role technician --clients ACME").out.strip()
    play.typed("ana", f"caisey join {person} --keys file", says=("ana, technician",))
    stage.start(f"caisey-agent run --home {home}", "agent")
    play.typed("ana", "caisey endpoints", says=(f"ACME/{ENDPOINT}",))


# -- the job ----------------------------------------------------------------------------------------------


def _fails(play: Play) -> None:
    asked = f"caisey check {ENDPOINT} --ticket {TICKET} --reason 'nothing prints' --expect running"
    play.typed("ana", f"{asked} -- cat {_on(play, 'printd.state')}", status=1, says=("failed", "printd: failed"))


def _looks(play: Play) -> None:
    spool = _on(play, "spool")
    listed = play.typed("ana", f"caisey run {ENDPOINT} -- ls {spool}").out.split()
    if sum(each.startswith("d") for each in listed) < 2:
        raise Failed("The spool is not full: the fault is not there.")
    used = play.typed("ana", f"caisey run {ENDPOINT} -- du -sk {spool}").out.split()[:1]
    if not used or not used[0].isdigit() or int(used[0]) <= 2048:
        raise Failed("The spool is not over its limit: the fault is not there.")
    play.typed(
        "ana", f"caisey run {ENDPOINT} -- cat {_on(play, 'printd.log')}", says=("more than the 2048 KiB it may",)
    )
    play.typed("ana", f"caisey find 'the spool holds {used[0]} KiB; printd starts with 2048 at most'")


def _denied(play: Play) -> None:
    rough = f"rm -rf {_on(play, 'spool')}"
    code = play.typed("ana", f"caisey request {ENDPOINT} --reason 'make room' -- {rough}").out.strip()
    play.typed("sam", f"caisey deny {code} --reason 'would delete the directory' --yes", says=(rough,))
    if not (play.stage.machine / "spool").is_dir():
        raise Failed("What was denied ran all the same: the spool is gone.")


def _changes(play: Play) -> None:
    delete = f"find {_on(play, 'spool')} -name 'd*' -delete"
    _approved(play, f"caisey run {ENDPOINT} --reason 'drop the jobs, keep the directory' -- {delete}", delete)
    left = [each.name for each in (play.stage.machine / "spool").iterdir()]
    if not left or any(each.startswith("d") for each in left):
        raise Failed("The approved change did not delete the jobs, or more than these.")


def _starts(play: Play) -> None:
    start = f"sh {_on(play, 'svc')} start printd"
    _approved(play, f"caisey run {ENDPOINT} -- {start}", start, says=("printd: running",))


def _approved(play: Play, line: str, shown: str, says: tuple[str, ...] = ()) -> None:
    """ana waits, sam is shown the action and approves, ana's command goes on."""
    asked = play.stage.begin("ana", line, " &")
    code = asked.says(PATIENCE, _code)
    if not code:
        play.judge(asked.end(), 0)
        raise Failed(f"{line!r} ran without asking anybody.")
    play.typed("sam", "caisey approvals", says=(code,))
    play.typed("sam", f"caisey approve {code} --yes", says=(shown,))
    play.judge(asked.end(), 0, says)


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found[1] if found else ""


def _closes(play: Play) -> None:
    play.typed("ana", "caisey close --outcome resolved", says=("passed", "is closed: resolved"))


# -- what is left of it -----------------------------------------------------------------------------------


def _notes(play: Play) -> None:
    words = (
        "intact",
        "nothing prints",
        "Denied:",
        "would delete the directory",
        "approved by sam",
        "passed",
        "resolved",
    )
    play.note = play.typed("ana", "caisey export last --cite").out
    flat = " ".join(play.note.split())
    for each in words:
        if each not in flat:
            raise Failed(f"The note does not say {each!r}.")
    if not 10 <= len(play.note.strip().splitlines()) <= 25:
        raise Failed("The note has not 10 to 25 lines.")


def _proves(play: Play) -> None:
    play.typed("ana", "caisey verify last", says=("intact: complete to", "attested by relay and agent"))
    copy, bad = _tampered(play)
    line = f"caisey verify last --journal {shlex.quote(copy)}"
    play.typed("ana", line, status=254, says=(f"bad at {bad}",))
    play.typed("ana", "caisey verify last", says=("intact",))


def _tampered(play: Play) -> tuple[str, int]:
    """A copy of ana's journal in which one byte of the approved command differs, and which record that is."""
    shown = json.loads(_quiet(play, "caisey show last --json"))
    bad = next(
        each["seq"] for each in shown["records"] if each["kind"] == "action.proposed" and "-delete" in each["text"]
    )
    original, copy = play.stage.scratch / "ana" / "journal.db", play.stage.scratch / "copy.db"
    with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        with target:
            change_a_byte(target)
    play.stage.tell(f"(in {copy.name}, a copy of ana's journal, one byte is changed: -name 'd*' becomes -name 'x*')")
    return str(copy), int(bad)


def change_a_byte(journal: sqlite3.Connection) -> None:
    """In the approved command 'd*' becomes 'x*', however its body is kept. Raises `Failed` where it is not there."""
    from caisey_core.rows import unpacked

    proposals = 'SELECT "commit", body, size FROM records JOIN bodies USING ("commit") WHERE kind = \'action.proposed\''
    for commit, body, size in journal.execute(proposals).fetchall():
        whole = unpacked(body, size) or b""
        if b'"argv":["find"' in whole and b'"d*"' in whole:
            other = whole.replace(b'"d*"', b'"x*"', 1)
            journal.execute('UPDATE bodies SET body = ?, size = 0 WHERE "commit" = ?', (other, commit))
            return
    raise Failed("The approved command is not in the journal.")


def _quiet(play: Play, line: str) -> str:
    """What a command says, without showing it."""
    tell, play.stage.tell = play.stage.tell, lambda _line: None
    try:
        return play.typed("ana", line).out
    finally:
        play.stage.tell = tell


def _word(stage: Stage, name: str) -> str:
    return shlex.quote(str(stage.scratch / name))


def _on(play: Play, name: str) -> str:
    """A path on the endpoint, as it is typed."""
    return shlex.quote(str(play.stage.machine / name))
