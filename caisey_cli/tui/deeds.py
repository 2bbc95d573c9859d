"""Everything the view can be told to do: one table for keys, footer, command palette, `:` commands and help.

A deed is done by the view's method `do_NAME`, which gets what was typed after the command.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Deed(NamedTuple):
    """`key` as Textual names it, `shown` as people do; `footer` is its word there, empty where it has none.

    `back` is the key that does it in the other direction. `there`: a key that does it while the transcript has the
    keys, `there_back` the other way. `command` is typed after a colon, with `usage` after it; a `needs` one does
    nothing without. `writes`: only in an open session of one's own. `wide`: in the
    footer only where there is room for all of them. `absent`: what to say where the view does not have it; else that
    it is not for somebody who watches.
    """

    name: str
    help: str
    key: str = ""
    shown: str = ""
    footer: str = ""
    command: str = ""
    usage: str = ""
    needs: bool = False
    writes: bool = False
    wide: bool = False
    back: str = ""
    there: str = ""
    there_back: str = ""
    absent: str = ""

    @property
    def keys(self) -> str:
        """Its keys as they are written in the help."""
        there = " ".join(
            each.replace("slash", "/").replace("space", "Space") for each in (self.there, self.there_back) if each
        )
        return f"{self.shown} S-{self.shown}" if self.back else self.shown or there


TABLE: Final = (
    Deed("help", "What keys and commands there are.", "f1", "F1", "help", "help"),
    Deed("side", "Show or hide the side panel.", "f2", "F2", "", "side"),
    Deed(
        "search",
        "Search commands, output and notes; Up and Down step through what is found.",
        "f3",
        "F3",
        "search",
        "search",
        "[TEXT]",
        there="slash",
    ),
    Deed("hit", "The next place that was searched for, above and below.", there="n", there_back="N"),
    Deed(
        "approval",
        "Go to what waits for an answer (its card, if it is yours to give), else to what was decided.",
        "f4",
        "F4",
        "waiting",
        back="shift+f4",
    ),
    Deed(
        "fold", "Fold or unfold the output that is marked, else the last.", "f5", "F5", "fold", wide=True, there="space"
    ),
    Deed(
        "failure",
        "Go to the failure above (shift: below): failed, denied, refused, expired or unknown.",
        "f6",
        "F6",
        "failure",
        back="shift+f6",
    ),
    Deed("change", "Go to the change above (shift: below).", "f7", "F7", "", back="shift+f7"),
    Deed(
        "close",
        "Close the session: see its note and what is open, mend it there, then close.",
        "f8",
        "F8",
        "close",
        "close",
        "[resolved|mitigated|unresolved|escalated] [--unverified REASON]",
        writes=True,
    ),
    Deed(
        "record",
        "Open a record as it is: the marked block's, else the last, or the one with this number.",
        "f9",
        "F9",
        "record",
        "record",
        "[NUMBER]",
        wide=True,
        there="enter",
    ),
    Deed(
        "question",
        "Go to the first record that answers one of the six questions in the panel.",
        command="question",
        usage="1-6",
        needs=True,
    ),
    Deed("recall", "Search what you have run on any endpoint; Enter takes it into the line.", "ctrl+r", "^R"),
    Deed("stop", "Stop the action that runs, or take back the one that waits. Never leaves.", "ctrl+c", "^C", "stop"),
    Deed("leave", "Leave the view; the session stays open.", "ctrl+q", "^Q", "leave", "quit"),
    Deed(
        "check",
        "Verify: run a command and hold its output (or exit 0) against what is expected.",
        command="check",
        usage="[--expect TEXT] COMMAND",
        needs=True,
        writes=True,
    ),
    Deed(
        "attest",
        "Put on record what somebody reported; nothing is measured.",
        command="attest",
        usage="TEXT",
        needs=True,
        writes=True,
    ),
    Deed("note", "Add an annotation.", command="note", usage="TEXT", needs=True, writes=True),
    Deed(
        "find",
        "Mark a finding or the cause; the note claims no other.",
        command="find",
        usage="TEXT",
        needs=True,
        writes=True,
    ),
    Deed(
        "ask",
        "Ask what somebody has to answer yet; the note tells of it.",
        command="ask",
        usage="TEXT",
        needs=True,
        writes=True,
        absent="You are watching. In another terminal: caisey ask -s SESSION TEXT",
    ),
    Deed(
        "answer",
        "Answer a question (without its code: the only one), or say why it stays open.",
        command="answer",
        usage="[CODE] TEXT | [CODE] --open REASON",
        needs=True,
        writes=True,
        absent="You are watching. In another terminal: caisey answer CODE TEXT",
    ),
    Deed(
        "cd",
        "Set the directory of the actions that follow in this view; without one, back to the agent's own.",
        command="cd",
        usage="[DIR]",
        writes=True,
    ),
    Deed(
        "guide",
        "The guide this view was opened with: beside the work, or away.",
        command="guide",
        absent="This view was opened without a guide: caisey connect --guide FILE",
    ),
    Deed("approvals", "What waits for another member's approval, in every session you may see.", command="approvals"),
    Deed("approve", "Approve somebody's request on its card.", command="approve", usage="CODE", needs=True),
    Deed("deny", "Deny somebody's request on its card.", command="deny", usage="CODE [REASON]", needs=True),
)

COMMANDS: Final = {each.command: each for each in TABLE if each.command}
WATCHING: Final = tuple(
    each for each in TABLE if not each.writes and each.name not in {"stop", "approve", "deny", "approvals", "recall"}
)
"""What somebody who only watches can do."""


def meant(word: str, deeds: tuple[Deed, ...]) -> Deed | str:
    """A command by its word, or the sentence that says there is none."""
    known = {each.command: each for each in deeds if each.command}
    if word in known:
        return known[word]
    if word in COMMANDS:
        return COMMANDS[word].absent or f"You are watching: :{word} is for the session's technician."
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f"There is no command :{word}. " + (f"Did you mean :{close[0]}?" if close else "F1 lists those there are.")
