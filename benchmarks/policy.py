"""`python -m benchmarks.policy`: a policy rehearsed on 100,000 recorded actions, against reading them; one action of
many commands under many rules, against judging it; and scripts made to be slow, against honest ones."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.table import alternately, row
from caisey_cli.rehearsing import recorded, rehearse
from caisey_core.environment import fixed_environment
from caisey_core.grammar import SCRIPT_LIMIT
from caisey_core.journal import Journal
from caisey_core.policy import of_script
from caisey_core.policyfile import builtin, load
from caisey_core.record import parse
from caisey_core.ruling import Judgement, Policy, Subject, rule
from tests.core import test_shell, test_windows
from tests.core.world import NOW, Story, proposed

ACTIONS = 100_000
COMMANDS = (
    "ls -la /var/log/{}",
    "systemctl restart {}",
    "ps aux | grep {}",
    "journalctl -u {} --since today | tail -n 50",
    "find /srv/{} -name '*.log' -mtime +3 -delete",
    "rm -rf /tmp/{}",
    "cat /etc/{}.conf; df -h; echo done",
)
POLICY = '[classes]\nobserve = "run"\nreversible = "deny"\nunjudged = "quorum"\n'


def _filled(journal: Journal, different: int) -> Story:
    story = Story()
    writer = story._writers["ana"]
    for number in range(ACTIONS):
        which = number % different
        script = COMMANDS[which % len(COMMANDS)].format(which)
        body = proposed(argv=(), shell="/bin/sh", script=script, environment=fixed_environment("/root"))  # noqa: S604
        story.book.add(writer.write("action.proposed", body, time=NOW))
    entries = story.book.entries
    for at in range(0, len(entries), 5000):
        journal.place([(parse(each.sealed), each.receipt) for each in entries[at : at + 5000]])
    return story


def rehearsal(different: int) -> None:
    """As many actions, of which so many are different."""
    with tempfile.TemporaryDirectory() as directory, Journal.open(Path(directory) / "journal.db") as journal:
        roster = _filled(journal, different).workspace.roster
        other = load(POLICY, "other")

        def ours() -> None:
            assert rehearse(recorded(journal, roster, 0), builtin(), other)

        def floor() -> None:
            for _, sealed, _ in journal.of_kind("action.proposed"):
                parse(sealed)

        times = alternately(ours, floor, runs=3)
    print(row(f"rehearse {ACTIONS:,} actions, {different:,} different", "read them all", *times, "seconds"))


RULES = (
    ("500 rules for one program", 500, "rm --recursive /srv/x{0} -v", "rm -r -f /srv/y{0}/z /tmp/q{0}", 150),
    ("200 rules with stars", 200, "rm /srv/x{0}/*.log", "rm -r -f /srv/y{0}/z /tmp/q{0}", 150),
    ("200 that much resembles", 200, "rm *e* *{0}*", "rm e{0} ae{0}", 230),
)


def ruling() -> None:
    """The policy's part of judging one script; the floor is what the judge takes."""
    for name, count, own, typed, commands in RULES:
        text = POLICY + "".join(
            f'[[rule]]\nname = "r{at}"\nwhy = "x"\nthen = "deny"\ncommand = "{own.format(at)}"\n'
            f'match = "{own.format(at).replace("*", "")}"\n'
            for at in range(count)
        )
        script = "; ".join(typed.format(at) for at in range(commands))
        times = alternately(*_both(load(text, name), script), runs=20)
        print(row(f"{name}, {commands} commands", "judge them", *times, "ours and the floor together 50 ms"))


def _both(policy: Policy, script: str) -> tuple[Callable[[], object], Callable[[], Judgement]]:
    judged = of_script(script, "/bin/sh")
    return lambda: rule(policy, judged, Subject()), lambda: of_script(script, "/bin/sh")


def judging() -> None:
    """The slowest of the scripts that are made to be slow, against an honest one of 200 commands."""
    for shell, pieces, honest in (
        ("/bin/bash", test_shell.SLOW, "ls -la /var/log"),
        ("powershell", test_windows.SLOW, "Get-Process"),
        ("cmd", test_windows.SLOW, "dir C:\\"),
    ):
        line = (" & " if shell == "cmd" else "; ").join([honest] * 200)
        slow = [(piece * SCRIPT_LIMIT)[:SCRIPT_LIMIT] for piece in pieces]
        worst = max(slow, key=lambda script: _seconds(script, shell))
        times = alternately(*(lambda text=text: of_script(text, shell) for text in (worst, line)), runs=20)  # noqa: B023
        print(row(f"judge what is made to be slow, {shell}", f"200 of {honest}", *times, "<= 50 ms"))


def _seconds(script: str, shell: str) -> float:
    began = time.perf_counter()
    of_script(script, shell)
    return time.perf_counter() - began


def brief() -> None:
    """What a minute can tell."""
    judging()
    ruling()
    rehearsal(2_000)


def main() -> None:
    """Prints the table."""
    judging()
    ruling()
    rehearsal(2_000)
    rehearsal(ACTIONS)


if __name__ == "__main__":
    main()
