"""Two clients: who serves one of them gets nothing of the other's, by command or by guessing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_core.errors import CaiseyError
from caisey_core.ids import LogId
from tests.e2e import journals
from tests.e2e.bare import do, line
from tests.e2e.world import World, until


@pytest.fixture(scope="module")
def two(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """`ACME/box` and `BETA/box`; ana serves ACME only, sam everybody."""
    world = founded.copied(tmp_path_factory.mktemp("two"))
    try:
        world.start()
        world.add_endpoint("beta", "BETA", "box")
        world.start_agent("beta")
        until(lambda: len(world.shape("sam", "endpoints")["endpoints"]) == 2 or _hear(world, "sam"))
        yield world
    finally:
        world.end()


def _hear(world: World, who: str) -> bool:
    """A command that connects brings the roster up to date."""
    world.caisey(who, "approvals")
    return False


def test_a_short_name_that_two_clients_use(two: World) -> None:
    done = two.caisey("sam", "run", "box", "--", "true")
    assert done.returncode == 250, done.stderr
    assert "ACME/box, BETA/box. Nothing was done.\nType the full name." in done.stderr
    assert two.ok("sam", "run", "beta/BOX", "--", "echo", "beta") == "beta\n"
    assert two.ok("ana", "run", "box", "--", "echo", "acme") == "acme\n", "ana's box is one only"


def test_nothing_of_another_client(two: World, tmp_path: Path) -> None:
    code = two.ok("sam", "request", "BETA/box", "--ticket", "990", "--", "touch", str(tmp_path / "beta")).strip()
    log = journals.sessions(two, "sam")[0]
    session = two.shape("sam", "sessions", "--open")["sessions"][0]["session"]
    try:
        assert [each["name"] for each in two.shape("ana", "endpoints")["endpoints"]] == ["ACME/box"]
        for words in (
            ["run", "BETA/box", "--", "true"],
            ["check", "BETA/box", "--", "true"],
            ["run", "box", "-s", session, "--", "true"],
            ["show", session],
            ["show", log],
            ["export", "990"],
            ["verify", log],
            ["note", "x", "-s", session],
            ["close", "-s", log],
            ["approve", code, "--yes"],
            ["deny", code, "--yes"],
        ):
            done = two.caisey("ana", *words)
            assert done.returncode == 250, (words, done.stdout, done.stderr)
            told = done.stdout + done.stderr
            assert "touch" not in told, told
        listed = json.dumps([two.shape("ana", *words) for words in (["approvals"], ["sessions"], ["invitations"], [])])
        assert "BETA" not in listed
        assert code not in listed
        assert do(_follow(two, LogId(log))) == "refused"
        assert log not in journals.sessions(two, "ana")
    finally:
        two.ok("sam", "deny", code, "--yes")
        two.ok("sam", "close", "-s", session, "--outcome", "unresolved")
    assert not (tmp_path / "beta").exists()


def test_no_journal_of_hers_holds_a_name_of_another_client(two: World) -> None:
    """Acceptance 25, by its bytes: in the roster too, and also for who joins when the other client is there already."""
    kim = two.ok("sam", "invite", "member", "--name", "kim", "--role", "technician", "--clients", "ACME")
    two.ok("kim", "join", kim.strip())
    two.ok("sam", "invite", "endpoint", "--client", "BETA", "--name", "till")
    lee = two.ok("sam", "invite", "member", "--name", "lee", "--role", "admin", "--clients", "ACME")
    two.ok("lee", "join", lee.strip())
    assert two.ok("kim", "run", "box", "--", "echo", "acme") == "acme\n"
    for who in ("ana", "kim", "lee"):
        two.ok(who, "approvals")
        assert [each["name"] for each in two.shape(who, "endpoints")["endpoints"]] == ["ACME/box"]
        names = {each["name"] for each in two.shape(who, "invitations")["invitations"]}
        assert names == {"ACME/box", "ana", "kim", "lee"}
        held = [path.name for path in Path(two.home(who)).rglob("*") if path.is_file() and b"BETA" in path.read_bytes()]
        assert held == [], who
    refused = two.caisey("lee", "invite", "endpoint", "--client", "BETA", "--name", "pc")
    assert (refused.returncode, "BETA is not in your scope; nobody was invited" in refused.stderr) == (252, True)
    two.ok("lee", "revoke", two.ok("lee", "invite", "endpoint", "--client", "acme", "--name", "pc") and "pc")
    assert "BETA/till" in two.ok("sam", "invitations"), "who serves every client sees all"


async def _follow(world: World, log: LogId) -> str:
    """Asking for a log by its name, past the commands."""
    async with line(world, "ana") as opened:
        try:
            async with asyncio.timeout(60):
                await opened.follow(log)
        except CaiseyError:
            return "refused"
    return "followed"
