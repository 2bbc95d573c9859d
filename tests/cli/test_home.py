"""What a member keeps, and what a home says of itself when something is missing or damaged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from caisey_cli.home import DEVICE, ROOT, Home
from caisey_cli.known import VARIABLE
from caisey_cli.membership import Membership
from caisey_core import keys
from caisey_core.errors import JournalError, NotJoined, RecordError, UsageError
from caisey_core.journal import Journal
from caisey_core.record import parse
from tests.cli.workspace import Workspace, key


def membership(workspace: Workspace, who: str = "ana") -> Membership:
    """What a member of the story's workspace has pinned."""
    return Membership(
        v=1,
        workspace=workspace.roster.fingerprint,
        name=workspace.roster.name,
        roster=workspace.roster.log or "",
        relay="http://127.0.0.1:9",
        member=f"m-{who}",
        member_name=who,
        plain_text_on="",
    )


def settled(path: Path, workspace: Workspace, who: str = "ana") -> Home:
    """A member's home as joining leaves it."""
    home = Home(path)
    with home.journal() as journal:
        journal.place((parse(each.sealed), each.receipt) for each in workspace.log.entries)
    home.keep(membership(workspace, who))
    keys.keep(path, DEVICE, key(who), keys.Place.FILE)
    return home


def test_the_home_is_what_was_asked_for_else_the_variable_else_the_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "variable"))
    assert Home.of(tmp_path / "option").path == tmp_path / "option"
    assert Home.of(None).path == tmp_path / "variable"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.of().path == tmp_path / ".local" / "share" / "caisey"
    assert Home.of("~/other").path == tmp_path / "other"


def test_what_is_kept_comes_back_and_is_only_its_owners(tmp_path: Path) -> None:
    home = settled(tmp_path / "ana", Workspace())
    assert home.membership().member_name == "ana"
    assert home.key().public == key("ana").public
    assert home.roster().members["m-sam"].name == "sam"
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.path / "device.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.database.stat().st_mode) == 0o600


def test_an_empty_home_is_not_joined_and_nothing_is_made(tmp_path: Path) -> None:
    home = Home(tmp_path / "none")
    for ask in (home.membership, home.reading, home.roster):
        with pytest.raises(NotJoined) as raised:
            ask()
        assert "caisey join" in raised.value.hint
    assert not home.path.exists()


def test_a_file_that_is_no_membership_is_named(tmp_path: Path) -> None:
    (tmp_path / "membership.json").write_text('{"v": 1, "workspace": ')
    with pytest.raises(UsageError, match=r"membership\.json cannot be read"):
        Home(tmp_path).membership()


def test_the_root_key_is_missed_by_name(tmp_path: Path) -> None:
    home = settled(tmp_path / "ana", Workspace())
    with pytest.raises(UsageError, match="root key is not in") as raised:
        home.root()
    assert "caisey init" in raised.value.hint
    keys.keep(home.path, ROOT, key("root"), keys.Place.FILE)
    assert home.root().public == key("root").public


def test_a_key_others_can_read_is_not_used(tmp_path: Path) -> None:
    home = settled(tmp_path / "ana", Workspace())
    (home.path / "device.key").chmod(0o644)
    with pytest.raises(UsageError, match="Others can read"):
        home.key()


def test_a_roster_of_another_workspace_is_refused(tmp_path: Path) -> None:
    home = settled(tmp_path / "ana", Workspace())
    pinned = home.membership()
    home.keep(
        Membership(
            v=1,
            workspace="SHA256:somebodyelse",
            name=pinned.name,
            roster=pinned.roster,
            relay=pinned.relay,
            member=pinned.member,
            member_name=pinned.member_name,
            plain_text_on="",
        )
    )
    with pytest.raises(RecordError, match="not that of the workspace"):
        home.roster()


def test_a_changed_byte_in_the_roster_is_named_by_record(tmp_path: Path) -> None:
    home = settled(tmp_path / "ana", Workspace())
    _flip(home, b'"name":"sam"', b'"name":"eve"')
    with pytest.raises(RecordError, match=r"roster is bad at record 5"):
        home.roster()


def test_a_journal_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    home = settled(tmp_path / "ana", Workspace())
    for each in home.path.glob("journal.db*"):
        each.unlink()
    home.database.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(JournalError):
        home.roster()


def test_the_member_reads_while_another_process_writes(tmp_path: Path) -> None:
    home = settled(tmp_path / "ana", Workspace())
    with Journal.open(home.database) as journal, journal.transaction():
        assert home.roster().name == "Lakeside IT"


def _flip(home: Home, old: bytes, new: bytes) -> None:
    with Journal.open(home.database) as journal:
        rows = journal.connection.execute("SELECT rowid, body FROM bodies").fetchall()
        ((row, body),) = [each for each in rows if old in each[1]]
        journal.connection.execute("UPDATE bodies SET body = ? WHERE rowid = ?", (body.replace(old, new), row))
