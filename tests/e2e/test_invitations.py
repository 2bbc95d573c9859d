"""Invitations that are wrong, used, expired or taken back admit nobody, and cost the good ones nothing."""

from __future__ import annotations

import platform
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from caisey_core.enrolment import Invitation, Who, decode, encode
from tests.e2e.telling import REFUSED, USAGE, told
from tests.e2e.world import World

PROGRAMS: Final[list[tuple[str, Who]]] = [("caisey", "member"), ("caisey-agent", "endpoint")]


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


def test_one_invitation_for_several_machines(shared: World, tmp_path: Path) -> None:
    """Names are the machines' own host names, so that nobody hands them out; a second one of a name gets a number."""
    words = ("invite", "endpoint", "--client", "ACME", "--name", "till", "--uses", "3", "--expires", "7d")
    made = shared.shape("sam", *words)
    assert (made["for"], made["name"], made["uses"]) == ("endpoint", "ACME/till-*", 3)
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", platform.node().partition(".")[0]).strip("-_")
    first = host if host.startswith("till-") else f"till-{host}"
    for number, name in enumerate((first, f"{first}-2")):
        done = join(shared, "caisey-agent", tmp_path / str(number), made["invitation"])
        assert f"endpoint   {name} SHA256:" in done.stdout, done.stderr
    shared.ok("sam", "approvals")
    (listed,) = [each for each in shared.shape("sam", "invitations")["invitations"] if each["name"] == "ACME/till-*"]
    assert (listed["state"], listed["uses"], listed["taken"]) == ("open", 3, 2)
    again = shared.shape("sam", "rotate", "till")
    assert again["uses"] == 1, "what is left of it"
    told(join(shared, "caisey-agent", tmp_path / "old", made["invitation"]), USAGE, "invitation was revoked")
    assert join(shared, "caisey-agent", tmp_path / "new", again["invitation"]).returncode == 0
    told(join(shared, "caisey-agent", tmp_path / "late", again["invitation"]), USAGE, "was used already; nothing was")
    shared.ok("sam", "approvals")
    names = {each["name"] for each in shared.shape("sam", "endpoints")["endpoints"]}
    assert {f"ACME/{first}", f"ACME/{first}-2", f"ACME/{first}-3"} <= names
    for uses in ("0", "1001", "x"):
        refused = shared.caisey("sam", *words[:-4], "--uses", uses)
        assert refused.returncode == USAGE
        assert "--uses" in refused.stderr


def test_rotated_invitations(shared: World, tmp_path: Path) -> None:
    """The old secret is worth nothing from then on; also one that has expired can be given again."""
    lost = shared.shape("sam", "invite", "endpoint", "--client", "ACME", "--name", "lost")
    again = shared.shape("sam", "rotate", lost["code"])
    assert (again["name"], again["root"]) == ("ACME/lost", lost["root"])
    assert again["invitation"] != lost["invitation"]
    told(join(shared, "caisey-agent", tmp_path / "lost", lost["invitation"]), USAGE, "invitation was revoked")
    assert join(shared, "caisey-agent", tmp_path / "found", again["invitation"]).returncode == 0
    told(shared.caisey("sam", "rotate", lost["code"]), USAGE, "was revoked; nothing was rotated")
    told(shared.caisey("sam", "rotate", again["code"]), USAGE, "was used already; nothing was rotated")
    told(shared.caisey("ana", "rotate", lost["code"]), USAGE, "nothing was rotated")
    words = ("member", "--name", "old", "--role", "approver", "--clients", "all", "--home", shared.home("sam"))
    old = shared.off_clock("caisey", -2 * 24 * 3600, "invite", *words).stdout.strip()
    told(join(shared, "caisey", tmp_path / "old", old), USAGE, "has expired")
    fresh = shared.caisey("sam", "rotate", "old")
    assert fresh.returncode == 0, fresh.stderr
    assert "What was given out before for old admits nobody any more." in fresh.stderr
    assert join(shared, "caisey", tmp_path / "fresh", fresh.stdout.strip()).returncode == 0


def test_an_invitation_of_somebody_else_s(shared: World, tmp_path: Path) -> None:
    """To another workspace at the same address, and one that this workspace has never given."""
    made = shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "mine").strip()
    known = decode("endpoint", made)
    other = Invitation(known.relay, "SHA256:" + "A" * 43, known.version, known.digest, known.seed)
    unknown = Invitation(known.relay, known.workspace, known.version, known.digest, bytes(range(32)))
    for number, (invitation, says) in enumerate(
        [
            (other, "is to another workspace than this relay's; nothing was joined"),
            (unknown, "knows no such invitation"),
        ]
    ):
        home = tmp_path / str(number)
        told(join(shared, "caisey-agent", home, encode("endpoint", invitation)), USAGE, says, "Ask for a new")
    newer = Invitation(known.relay, known.workspace, known.version, "ab" * 32, known.seed)
    told(
        join(shared, "caisey-agent", tmp_path / "x", encode("endpoint", newer)), REFUSED, "not the one this invitation"
    )
    assert join(shared, "caisey-agent", tmp_path / "mine", made).returncode == 0


def test_every_refusal_is_on_record_for_the_admins(shared: World, tmp_path: Path) -> None:
    made = {
        name: shared.shape("sam", "invite", "endpoint", "--client", "ACME", "--name", f"{name}-pc")
        for name in ("used", "revoked")
    }
    late = ("endpoint", "--client", "ACME", "--name", "expired-pc", "--expires", "1h", "--home", shared.home("sam"))
    expired = shared.off_clock("caisey", -7200, "invite", *late).stdout.strip()
    shared.ok("sam", "revoke", "revoked-pc")
    assert join(shared, "caisey-agent", tmp_path / "good", made["used"]["invitation"]).returncode == 0
    known = decode("endpoint", made["used"]["invitation"])
    unknown = encode("endpoint", Invitation(known.relay, known.workspace, known.version, known.digest, bytes(32)))
    bad = {
        "the invitation was used": made["used"]["invitation"],
        "the invitation was revoked": made["revoked"]["invitation"],
        "the invitation has expired": expired,
        "no such key in the roster": unknown,
    }
    for number, text in enumerate(bad.values()):
        assert join(shared, "caisey-agent", tmp_path / str(number), text).returncode == USAGE
    rows = shared.shape("sam", "audit")["refusals"]
    assert [each["received"] for each in rows] == sorted((each["received"] for each in rows), reverse=True)
    by = {(each["why"], each["what"]): each for each in rows}
    for why, name in (("was used", "used"), ("was revoked", "revoked"), ("has expired", "expired")):
        (row,) = [each for (said, what), each in by.items() if said.endswith(why) and f"ACME/{name}-pc" in what]
        assert (row["kind"], row["address"], row["count"]) == ("invitation", "127.0.0.1", 1)
        assert row["key"].startswith("SHA256:")
    assert any(each["kind"] == "login" and each["why"] == "no such key in the roster" for each in rows)
    assert "ACME/used-pc" in shared.ok("sam", "audit", "--limit", "9")
    told(shared.caisey("ana", "audit"), REFUSED, "Only an admin may do this")
    assert shared.shape("sam", "sessions")["sessions"] == [], "it is kept nowhere else"


def test_what_the_help_says_may_be_typed(shared: World) -> None:
    """A machine by its short name, as everywhere else; a time as `run --timeout` takes it."""
    assert shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "soon", "--expires", "90s")
    shared.ok("sam", "revoke", "soon", "--reason", "wrong machine")


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:9\x1b[2J", "http://\x1b]0;owned\x07.example", "https://a\u202eb.invalid/"]
)
def test_what_an_invitation_says_reaches_no_terminal_as_it_is(shared: World, tmp_path: Path, where: str) -> None:
    """Whoever sends one writes what they like in it, and it is pasted by root."""
    for program, who in PROGRAMS:
        text = encode(who, Invitation(where, "SHA256:x", 1, "ab" * 32, bytes(32)))
        done = join(shared, program, tmp_path / program, text)
        assert done.returncode
        assert "Traceback" not in done.stderr
        assert all(each.isprintable() or each == "\n" for each in done.stdout + done.stderr), done.stderr


def test_one_invitation_on_two_machines_at_once(shared: World, tmp_path: Path) -> None:
    """One of them is in; the other one is told so, and keeps nothing by which it would seem to be."""
    made = shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "twice").strip()
    homes = [tmp_path / "one", tmp_path / "other"]
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda home: join(shared, "caisey-agent", home, made), homes))
    late = next(each for each in done if each.returncode)
    assert sorted(each.returncode for each in done) == [0, USAGE], [each.stderr for each in done]
    told(late, USAGE, "invitation was used already; nothing was joined")
    assert [(home / "membership.json").exists() for home in homes] == [not each.returncode for each in done]
    shared.ok("sam", "sync")
    rows = [each["name"] for each in shared.shape("sam", "endpoints")["endpoints"]]
    assert rows.count("ACME/twice") == 1
