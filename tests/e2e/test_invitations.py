"""Invitations that are wrong, used, expired or taken back admit nobody, and cost the good ones nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.e2e.telling import USAGE, told
from tests.e2e.world import World


def join(world: World, program: str, home: Path, invitation: str) -> subprocess.CompletedProcess[str]:
    """Somebody pastes an invitation."""
    done = world.run(program, "join", "--home", str(home), invitation)
    assert not (home / "membership.json").exists() or done.returncode == 0
    return done


def test_invitations_that_are_none(shared: World, tmp_path: Path) -> None:
    endpoint = shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "spare").strip()
    member = shared.ok("sam", "invite", "member", "--name", "kim", "--role", "approver", "--clients", "all").strip()
    home = tmp_path / "home"
    for program, text in (
        ("caisey", endpoint),
        ("caisey-agent", member),
        *((program, text) for program in ("caisey", "caisey-agent") for text in ("", "nonsense", "caisey-member-")),
        ("caisey", member[:-9]),
        ("caisey-agent", endpoint[: len(endpoint) // 2]),
        ("caisey", member[:40] + ("A" if member[40] != "A" else "B") + member[41:]),
    ):
        done = join(shared, program, home, text)
        assert 250 <= done.returncode <= 254, (program, text, done.stderr)
        assert "Traceback" not in done.stderr
        assert 1 <= len(done.stderr.strip().splitlines()) <= 2, done.stderr
        assert re.search(r"(?i)invitation", done.stderr), done.stderr
    assert join(shared, "caisey", home, member).returncode == 0, "it is as good as before"
    told(join(shared, "caisey", tmp_path / "second", member), USAGE, "invitation was used already; nothing was joined")


def test_an_expired_and_a_revoked_invitation(shared: World, tmp_path: Path) -> None:
    words = ("endpoint", "--client", "ACME", "--name", "late", "--expires", "1h", "--home", shared.home("sam"))
    made = shared.off_clock("caisey", -7200, "invite", *words)
    assert made.returncode == 0, made.stderr
    told(
        join(shared, "caisey-agent", tmp_path / "late", made.stdout), USAGE, "invitation (has|is) expired; nothing was"
    )
    taken = shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "taken")
    shared.ok("sam", "revoke", "ACME/taken")
    told(join(shared, "caisey-agent", tmp_path / "taken", taken), USAGE, "invitation was (revoked|taken back)")
    states = {each["name"]: each["state"] for each in shared.shape("sam", "invitations")["invitations"]}
    assert {states[name] for name in states if name.endswith(("late", "taken"))} == {"expired", "revoked"}


def test_what_the_help_says_may_be_typed(shared: World) -> None:
    """A machine by its short name, as everywhere else; a time as `run --timeout` takes it."""
    assert shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "soon", "--expires", "90s")
    shared.ok("sam", "revoke", "soon", "--reason", "wrong machine")
