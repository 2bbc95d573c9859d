"""Setting up at a terminal, as an owner does it: what is asked, what is refused, and that leaving leaves nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_cli.home import Home
from caisey_core import keyfile
from caisey_core.errors import Exit
from caisey_core.signing import fingerprint
from tests.e2e.running import Console, console
from tests.e2e.world import BIN, World, until

PASSPHRASE = "correct horse battery"


class Chooser(World):
    """A world in which nobody has chosen beforehand where keys are kept."""

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in super().environment.items() if name != "CAISEY_KEYS"}
        kept = {name: value for name, value in kept.items() if not name.startswith(("DBUS_", "PYTHON_KEYRING"))}
        # No session bus, and none is started for us: a server's shell.
        return kept | {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent", "CAISEY_SERVER_HOME": self.home("relay")}


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Chooser]:
    """A relay that nobody has claimed."""
    world = Chooser(tmp_path)
    try:
        world.start_relay()
        yield world
    finally:
        world.end()


def answer(terminal: Console, question: str, typed: str) -> None:
    """Waits for a question that was not there before and for its prompt (what is typed earlier, a hidden one loses)."""

    def asked() -> bool:
        said = terminal.screen[terminal.answered :]
        return question in said and said.endswith(": ")

    until(asked, why=f"{question!r}: {terminal.screen[-500:]!r}")
    terminal.answered = len(terminal.screen)
    terminal.type(f"{typed}\n")


def to_the_claim(terminal: Console, world: World, *, name: str = "Lakeside IT") -> None:
    """Answers what comes before the claim code."""
    terminal.answered = 0
    answer(terminal, "Name of the workspace", name)
    answer(terminal, "For a team or solo", "")
    answer(terminal, "The relay, as every machine", world.origin)
    answer(terminal, "Is it the same there", "y")


def test_a_workspace_is_founded_by_answering(relay: Chooser) -> None:
    stick = relay.path / "stick"
    stick.mkdir()
    backup = stick / "lakeside.root"
    with console(relay, "sam", "init") as terminal:
        terminal.answered = 0
        answer(terminal, "Name of the workspace", "-rf")
        answer(terminal, "is no name for a workspace", "Lakeside IT")
        answer(terminal, "For a team or solo", "both")
        answer(terminal, "'both' is none of team, solo", "t")
        answer(terminal, "The relay, as every machine", "ftp://relay")
        answer(terminal, "is not the address of a relay", "http://relay.example.com")
        answer(terminal, "would carry everything in the clear", "127.0.0.1:9")
        answer(terminal, "does not answer (nothing listens there)", relay.origin)
        # Not the fingerprint that was printed: asked again.
        answer(terminal, "Is it the same there", "")
        answer(terminal, "The relay, as every machine", relay.origin.removeprefix("http://"))
        relay_key = (relay.path / "relay" / "relay.pub").read_text().split()[1]
        terminal.shows(f"relay {fingerprint(relay_key)}")
        assert relay.relay is not None
        assert f"relay {fingerprint(relay_key)}" in relay.relay.said, "the two that are compared read alike"
        answer(terminal, "Is it the same there", "y")
        answer(terminal, "The claim code", "8qk4")
        answer(terminal, "A claim code has 8 letters", "")  # the relay's home on this machine has it
        answer(terminal, "What others call you", "sam")
        answer(terminal, "Keep the keys in files", "")
        answer(terminal, "Where its backup goes", str(relay.path / "nowhere" / "b"))
        answer(terminal, "There is no directory", str(relay.path / "sam" / "b"))
        answer(terminal, "in this home itself", str(backup))
        answer(terminal, "Passphrase for", "short")
        answer(terminal, "10 characters at the least", PASSPHRASE)
        answer(terminal, "The same again", "another")
        answer(terminal, "The two are not the same", PASSPHRASE)
        answer(terminal, "The same again", PASSPHRASE)
        assert not Path(relay.home("sam")).exists(), "nothing is written before the last answer"
        answer(terminal, "Found it", "")
        assert terminal.wait() == 0, terminal.screen
        screen = terminal.screen
    claim_typed = "8qk4\r\n"
    assert claim_typed not in screen, "the code is not shown while it is typed"
    assert PASSPHRASE not in screen
    home = Home(Path(relay.home("sam")))
    roster = home.roster()
    assert (roster.name, roster.solo, [each.name for each in roster.members.values()]) == (
        "Lakeside IT",
        False,
        ["sam"],
    )
    assert roster.fingerprint in screen
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert keyfile.unlock(backup, PASSPHRASE).public == home.root().public
    assert "No keyring works here" in screen
    assert screen.count("in files that only you can read") == 1, "said once"
    # The commands it names work as they stand.
    typed = [
        line.strip()
        for line in screen.splitlines()
        if line.strip().startswith(("caisey invite endpoint", "caisey run"))
    ]
    assert len(typed) == 2
    done = subprocess.run(
        ["sh", "-c", typed[0]],
        env=relay.environment | {"CAISEY_HOME": relay.home("sam"), "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("caisey-endpoint-"), done.stderr


@pytest.mark.parametrize("keys", ["\x03", "\x04"])
@pytest.mark.parametrize("at", ["Name of the workspace", "The claim code", "Where its backup goes", "Found it"])
def test_leaving_leaves_nothing(relay: Chooser, keys: str, at: str) -> None:
    with console(relay, "sam", "init", "--keys", "file") as terminal:
        if at != "Name of the workspace":
            to_the_claim(terminal, relay)
        if at in {"Where its backup goes", "Found it"}:
            answer(terminal, "The claim code", "")
            answer(terminal, "What others call you", "sam")
        if at == "Found it":
            answer(terminal, "Where its backup goes", "later")
        terminal.shows(at)
        if keys == "\x04":
            terminal.type(keys)
        assert (terminal.wait() if keys == "\x04" else terminal.leave()) == 130
        assert "Nothing was founded, and nothing was written" in terminal.screen
    assert not Path(relay.home("sam")).exists()
    assert (relay.path / "relay" / "claim").exists()


def test_a_wrong_claim_code_is_asked_again_and_leaving_then_leaves_no_key(relay: Chooser) -> None:
    words = ("init", "Lakeside IT", "--relay", relay.origin, "--claim", "aaaa-aaaa", "--member-name", "sam")
    with console(relay, "sam", *words, "--keys", "file") as terminal:
        terminal.shows("the claim code is not the one")
        terminal.shows("Claim code: ")
        terminal.type("\x04")
        assert terminal.wait() == 130
        assert "Nothing was founded" in terminal.screen
    assert not Path(relay.home("sam")).exists()
    with console(relay, "sam", *words, "--keys", "file") as terminal:
        terminal.shows("Claim code: ")
        terminal.type((relay.path / "relay" / "claim").read_text())
        assert terminal.wait() == 0, terminal.screen
    assert Home(Path(relay.home("sam"))).joined


def test_an_attempt_whose_end_was_not_seen_is_finished_by_asking_again(relay: Chooser) -> None:
    claim = (relay.path / "relay" / "claim").read_text().strip()
    words = ("--claim", claim, "--member-name", "sam", "--keys", "file")
    first = relay.ok("sam", "init", "Lakeside IT", "--relay", relay.origin, *words)
    for each in Path(relay.home("sam")).iterdir():
        if each.suffix not in {".key", ".pub"}:
            each.unlink()
    with console(relay, "sam", "init", "--keys", "file") as terminal:
        to_the_claim(terminal, relay)
        answer(terminal, "What others call you", "sam")
        answer(terminal, "Where its backup goes", "")
        answer(terminal, "Found it", "")
        assert terminal.wait() == 0, terminal.screen
        assert "claim code that" not in terminal.screen
    assert Home(Path(relay.home("sam"))).roster().fingerprint in first


def test_a_stick_pulled_out_meanwhile_leaves_a_founded_workspace_and_says_so(relay: Chooser) -> None:
    stick = relay.path / "stick"
    stick.mkdir()
    with console(relay, "sam", "init", "--keys", "file") as terminal:
        to_the_claim(terminal, relay)
        answer(terminal, "The claim code", "")
        answer(terminal, "What others call you", "sam")
        answer(terminal, "Where its backup goes", str(stick / "b"))
        answer(terminal, "Passphrase for", PASSPHRASE)
        answer(terminal, "The same again", PASSPHRASE)
        terminal.shows("Found it")
        stick.rmdir()
        answer(terminal, "Found it", "")
        assert terminal.wait() == 0, terminal.screen
        assert "The workspace is founded, but its root key is not backed up: There is no directory" in terminal.screen
        assert "caisey root backup PATH" in terminal.screen
    assert Home(Path(relay.home("sam"))).joined


def test_an_agents_key_goes_into_no_keyring_that_keeps_nothing(relay: Chooser) -> None:
    claim = (relay.path / "relay" / "claim").read_text().strip()
    words = ("--claim", claim, "--member-name", "sam", "--keys", "file")
    relay.ok("sam", "init", "Lakeside IT", "--relay", relay.origin, *words)
    invitation = relay.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "box").strip()
    join = [str(BIN / "caisey-agent"), "join", "--home", relay.home("agent"), invitation]
    null = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    refused = subprocess.run(
        [*join, "--keyring"], env=relay.environment | null, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == Exit.USAGE
    assert "it keeps nothing" in refused.stderr
    assert "leave --keyring out" in refused.stderr
    assert not Path(relay.home("agent")).exists()
    done = subprocess.run(join, env=relay.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, "the invitation is still good"


def test_without_a_terminal_nothing_is_asked_and_what_is_missing_is_named(relay: Chooser) -> None:
    claim = (relay.path / "relay" / "claim").read_text().strip()
    for words, said in (
        (("init",), "name was not given; nothing was founded"),
        (("init", "X"), "relay's address was not given; nothing was founded"),
        (("init", "X", "--relay", relay.origin, "--claim", claim), "No keyring works here"),
    ):
        refused = relay.caisey("sam", *words)
        assert refused.returncode == Exit.USAGE
        assert said in refused.stderr
        assert ("--keys file" in refused.stderr) is ("keyring" in said)
    assert not Path(relay.home("sam")).exists()
    kept = relay.caisey("sam", "init", "X", "--relay", relay.origin, "--claim", claim, "--keys", "file")
    assert kept.returncode == 0
    assert kept.stderr.count("in files that only you can read") == 1


def test_the_root_key_leaves_the_home_and_comes_back_from_its_backup(world: World) -> None:
    secret = world.path / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n")
    backup = world.path / "stick.root"
    open_ = world.caisey("sam", "root", "backup", str(backup), "--passphrase-file", str(secret))
    assert open_.returncode == Exit.USAGE, "others can read that file"
    assert "Others can read the passphrase" in open_.stderr
    secret.chmod(0o600)
    early = world.caisey("sam", "root", "remove", "--passphrase-file", str(secret))
    assert "No backup of the root key is known" in early.stderr
    told = world.shape("sam", "root", "backup", str(backup), "--passphrase-file", str(secret))
    assert (told["kind"], told["path"]) == ("root_backup", str(backup))
    again = world.caisey("sam", "root", "backup", str(backup), "--passphrase-file", str(secret))
    assert "nothing was written over" in again.stderr

    # Without the file at hand, or with another passphrase, the key stays.
    moved = backup.rename(world.path / "elsewhere.root")
    for words in ((), ("--backup", str(backup))):
        refused = world.caisey("sam", "root", "remove", *words, "--passphrase-file", str(secret))
        assert refused.returncode == Exit.USAGE
        assert "cannot be read" in refused.stderr
    secret.write_text("something else entirely\n")
    refused = world.caisey("sam", "root", "remove", "--backup", str(moved), "--passphrase-file", str(secret))
    assert "passphrase is not that" in refused.stderr
    assert (Path(world.home("sam")) / "root.key").exists()

    secret.write_text(f"{PASSPHRASE}\n")
    told = world.shape("sam", "root", "remove", "--backup", str(moved), "--passphrase-file", str(secret))
    assert (told["kind"], told["backup"]) == ("root_removed", str(moved))
    held = [path for path in Path(world.home("sam")).iterdir() if b"PRIVATE" in path.read_bytes()]
    assert [path.name for path in held] == ["device.key"]

    invite = ("invite", "member", "--name", "kim", "--role", "approver", "--clients", "all")
    without = world.caisey("sam", *invite)
    assert without.returncode == Exit.USAGE
    assert f"--root {moved}" in without.stderr
    unasked = world.caisey("sam", *invite, "--root", str(moved))
    assert "passphrase" in unasked.stderr
    pasted = world.ok("sam", *invite, "--root", str(moved), "--passphrase-file", str(secret))
    assert "kim, approver" in world.ok("kim", "join", pasted.strip())


def test_the_passphrase_is_asked_at_a_terminal(world: World) -> None:
    backup = world.path / "stick.root"
    with console(world, "sam", "root", "backup", str(backup)) as terminal:
        terminal.shows("Passphrase for")
        terminal.type(f"{PASSPHRASE}\n")
        terminal.shows("The same again")
        terminal.type(f"{PASSPHRASE}\n")
        assert terminal.wait() == 0, terminal.screen
        assert PASSPHRASE not in terminal.screen
    invite = ("invite", "member", "--name", "kim", "--role", "approver", "--clients", "all", "--root", str(backup))
    with console(world, "sam", *invite) as terminal:
        terminal.shows("Passphrase of")
        terminal.type("wrong one\n")
        assert terminal.wait() == Exit.USAGE
        assert "passphrase is not that" in terminal.screen
    with console(world, "sam", *invite) as terminal:
        terminal.shows("Passphrase of")
        terminal.type(f"{PASSPHRASE}\n")
        assert terminal.wait() == 0, terminal.screen
        assert "caisey-member-" in terminal.screen


def test_another_workspaces_root_is_not_taken(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    from caisey_core.signing import SigningKey

    foreign, secret = world.path / "foreign", world.path / "passphrase"
    keyfile.back_up(SigningKey.generate(), foreign, PASSPHRASE)
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    words = ("invite", "member", "--name", "x", "--role", "admin", "--clients", "all", "--root", str(foreign))
    refused = world.caisey("sam", *words, "--passphrase-file", str(secret))
    assert refused.returncode == Exit.USAGE
    assert "holds another key" in refused.stderr


def test_fingerprints_read_alike_on_every_side(world: World) -> None:
    invite = world.caisey("sam", "invite", "member", "--name", "bob", "--role", "approver", "--clients", "all")
    machine = world.caisey("sam", "invite", "endpoint", "--client", "ACME", "--name", "other")
    root = json.loads(world.ok("bob", "join", invite.stdout.strip(), "--json"))["root"]
    joined = world.run("caisey-agent", "join", "--home", world.home("other"), machine.stdout.strip())
    status = world.run("caisey-agent", "status", "--home", world.home("other"))
    relay = world.run("caisey-server", "status", "--home", world.home("relay")).stdout.splitlines()[0].split()[1]
    assert root in invite.stderr
    assert root in machine.stderr
    for said in (joined.stdout, status.stdout):
        lines = {line.split()[0]: line for line in said.splitlines()}
        assert lines["root"] == f"root       {root}"
        assert lines["relay"].split()[2] == relay
        assert lines["endpoint"].startswith("endpoint   other SHA256:")
    assert "policy     builtin-1" in status.stdout.splitlines()
    assert "Compare the root's fingerprint with what 'caisey invite endpoint' showed" in joined.stderr
    assert "only its owner can read" in joined.stderr
