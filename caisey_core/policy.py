"""A verdict on a command: every program in it is judged by its row of the table, and the strictest counts.

`observe` is given only where each word is literal or known to do no harm, each option is listed in the row, and
the script could be taken apart without a doubt. Whatever is not known is `unjudged`, the heaviest class.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from caisey_core.alone import alone
from caisey_core.environment import WINDOWS_SHELLS, absolute, fixed_environment, home_of, of_windows
from caisey_core.kinds import ActionProposed, Class, Decision, Judged, Verdict
from caisey_core.rules import ORDER, Finding, Found, heaviest, shown_word
from caisey_core.ruling import Judgement, Part
from caisey_core.unwrap import Place, command, taken_apart
from caisey_core.words import strange_text

POLICY: Final = "builtin-1"
"""The version of the policy that comes with the programs."""

DECISIONS: Final = {
    Class.OBSERVE: Decision.RUN,
    Class.SENSITIVE: Decision.CONFIRM,
    Class.REVERSIBLE: Decision.CONFIRM,
    Class.PERSISTENT: Decision.QUORUM,
    Class.DESTRUCTIVE: Decision.QUORUM,
    Class.UNJUDGED: Decision.QUORUM,
}
WINDOWS: Final = frozenset(WINDOWS_SHELLS.values())
"""Shells of Windows by their names."""
_CALM: Final = frozenset({"echo", "printf", "true", ":", "timeout", "sudo", "time", "openssl"})
"""Commands before one that sends something which have nothing of the machine's to give it, unless they open a file."""
_PLAIN_HOME: Final = re.compile(r"/.*|[A-Za-z]:[A-Za-z0-9._\\-]+", re.ASCII | re.DOTALL)
"""Homes that cmd may put in the place of a variable: of other systems, or without blanks and signs."""
_HOME_VARIABLE: Final = re.compile(r"%(?:userprofile|homepath|appdata|localappdata|temp|tmp)%", re.IGNORECASE)
COMMAND_LIMIT: Final = 256
ARGV_LIMIT: Final = 8 * 1024
PATTERN_LIMIT: Final = 64


def decide(risk: Class) -> Decision:
    """What a class asks for before it runs."""
    return DECISIONS[risk]


def strictest(*risks: Class) -> Class:
    """The heaviest of some classes; `observe` of none."""
    return max(risks, key=ORDER.index, default=Class.OBSERVE)


def judge(action: ActionProposed) -> Verdict:
    """The verdict on an action, by the classes that come with the program."""
    return judgement(action).verdict


@alone
def judgement(action: ActionProposed) -> Judgement:
    """Judge an action as the endpoint would run it, from its directory and in its environment."""
    home = home_of(action.environment)
    if not absolute(home) or action.environment != fixed_environment(home):
        return _judgement([], Finding(Class.UNJUDGED, "environment", "It sets an environment of its own."))
    if not _PLAIN_HOME.fullmatch(home) and any(map(_HOME_VARIABLE.search, (action.script, *action.argv))):
        why = "A sign in the name of its home could become a part of a command."
        return _judgement([], Finding(Class.UNJUDGED, "environment", why))
    if not absolute(action.directory):
        return _judgement([], Finding(Class.UNJUDGED, "directory", "Its directory is not an absolute path."))
    if bool(action.shell) == bool(action.argv) or bool(action.shell) != bool(action.script):
        return _judgement([], Finding(Class.UNJUDGED, "action", "It is neither one command nor one script."))
    windows, here = of_windows(home), (action.directory,)
    if of_windows(action.directory) is not windows or (
        action.shell and (action.shell in WINDOWS_SHELLS) is not windows
    ):
        return _judgement(
            [], Finding(Class.UNJUDGED, "system", "Its shell, directory and home are of different systems.")
        )
    if action.shell:
        return _script(action.script, WINDOWS_SHELLS.get(action.shell, action.shell), here)
    return _argv(action.argv, here, windows=windows)


@alone
def of_argv(argv: Sequence[str]) -> Judgement:
    """Judge a program with its arguments, started without a shell."""
    return _argv(argv, ())


@alone
def of_script(script: str, shell: str) -> Judgement:
    """Judge a script as the shell at this absolute path would run it, or `powershell` or `cmd`."""
    return _script(script, shell, ())


def judge_argv(argv: Sequence[str]) -> Verdict:
    """The verdict on a program with its arguments, started without a shell."""
    return of_argv(argv).verdict


def judge_script(script: str, shell: str) -> Verdict:
    """The verdict on a script for the shell at this absolute path, or for `powershell` or `cmd`."""
    return of_script(script, shell).verdict


# -- the whole ----------------------------------------------------------------------------------------------

_HARMLESS_REDIRECTION: Final = re.compile(r"[0-9]?>(?:&[0-9]|[ \t]*/dev/null)")
_WILD: Final = re.compile(r"[*?\[]")
"""What makes a word a pattern, which is held against every secret there is."""
_FEEDS: Final = re.compile(r"[|<>]")


def _argv(argv: Sequence[str], here: tuple[str, ...], *, windows: bool = False) -> Judgement:
    if not argv:
        return _judgement([], Finding(Class.UNJUDGED, "empty", "There is no command."))
    if sum(map(len, argv)) > ARGV_LIMIT:
        return _judgement([], Finding(Class.UNJUDGED, "too-long", f"It is longer than {ARGV_LIMIT} characters."))
    doubt = next(filter(None, map(strange_text, argv)), "")
    if windows:
        from caisey_core.windows.scripts import of_words

        found, much = of_words(tuple(argv), here), None
    else:
        place = Place(here)
        found, much = command(tuple(argv), place), place.work.doubt
    odd = Finding(Class.UNJUDGED, "characters", doubt) if doubt else much
    return _judgement(found, odd, plain=not any(map(_FEEDS.search, argv)), windows=windows)


def _script(script: str, shell: str, here: tuple[str, ...]) -> Judgement:
    if sum(map(bool, map(_WILD.search, script.split()))) > PATTERN_LIMIT:
        why = f"There are patterns in more than {PATTERN_LIMIT} words of it."
        return _judgement([], Finding(Class.UNJUDGED, "too-many", why), windows=shell in WINDOWS)
    if shell in WINDOWS:
        from caisey_core.windows.scripts import of_script as windows_script

        found, doubt = windows_script(script, shell, here)
    else:
        found, doubt = taken_apart(script, shell, Place(here))
    # What a pipe or a file feeds into a command is not among its words.
    fed = bool(_FEEDS.search(_HARMLESS_REDIRECTION.sub("", script)))
    return _judgement(found, doubt, plain=not fed, windows=shell in WINDOWS)


def _judgement(
    found: list[Found], doubt: Finding | None = None, *, plain: bool = True, windows: bool = False
) -> Judgement:
    found = [one.settled for one in found]
    whole = [doubt] if doubt else []
    complete = doubt is None or doubt.risk is not Class.UNJUDGED
    if any(one.sends and _fed(found, at) for at, one in enumerate(found)):
        whole.append(Finding(Class.UNJUDGED, "sent-away", "It may send what it reads to another machine."))
    if len(found) > COMMAND_LIMIT:
        whole.append(Finding(Class.UNJUDGED, "too-many", "There are too many commands in it."))
    deciding = heaviest([one.finding for one in found] + whole)
    shown = [tuple(map(shown_word, one.words)) for one in found]
    commands = tuple(
        Judged(argv=argv, risk=one.finding.risk, rule=one.finding.rule, why=one.finding.why)
        for argv, one in zip(shown[:COMMAND_LIMIT], found, strict=False)
    )
    verdict = Verdict(
        decision=decide(deciding.risk), risk=deciding.risk, rule=deciding.rule, why=deciding.why, commands=commands
    )
    parts = [Part(one.finding.risk, argv, plain and not one.amid) for argv, one in zip(shown, found, strict=True)]
    parts += [Part(one.risk, None) for one in whole]
    return Judgement(verdict, tuple(parts), complete, windows, split=any(one.split for one in found))


def _fed(found: list[Found], at: int) -> bool:
    """Whether the command at this place may be given something to send, beyond what the script itself says."""
    before = {one.words[0] if one.words else None for one in found[:at]}
    return any(one.opens for one in found) or not before <= _CALM
