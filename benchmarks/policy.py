"""`python -m benchmarks.policy`: a policy rehearsed on 100,000 recorded actions, against reading them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.table import alternately, row
from caisey_cli.rehearsing import recorded, rehearse
from caisey_core.environment import fixed_environment
from caisey_core.journal import Journal
from caisey_core.policyfile import builtin, load
from caisey_core.record import parse
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


def main() -> None:
    """Prints the table."""
    rehearsal(2_000)
    rehearsal(ACTIONS)


if __name__ == "__main__":
    main()
