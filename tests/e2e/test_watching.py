"""`caisey approvals --watch`: real relay, agent and terminals; what comes is shown, rung for and decided by keys."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import journals
from tests.e2e.running import Running, console
from tests.e2e.windows import LOOK, Window
from tests.e2e.world import World, until

tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
HOSTILE = "x\x1b]2;PWNED\x07\x1b\\;y\x9c\u202e%#[fg=red]"


class Raw(Window):
    """A window whose program's bytes are kept as they come."""

    def __init__(self, world: World, path: Path, who: str, *words: str) -> None:
        self.kept = path / f"raw-{who}"
        super().__init__(world, path / f"tmux-{who}", who, *words)
        self._tmux("pipe-pane", "-t", "a", f"cat > {self.kept}")

    @property
    def raw(self) -> bytes:
        """What it has written."""
        return self.kept.read_bytes() if self.kept.exists() else b""


@contextmanager
def watcher(world: World, path: Path, who: str = "sam", *words: str) -> Iterator[Raw]:
    """Somebody's watch on the full screen."""
    opened = Raw(world, path, who, "approvals", "--watch", *words)
    try:
        opened.shows("Nothing waits")
        yield opened
    finally:
        opened.end()


class Lines(Running):
    """A watch in a pipe."""

    def __init__(self, world: World, *words: str, who: str = "sam") -> None:
        super().__init__(world, "approvals", "--watch", "--json", *words, who=who)
        self.until(lambda each: each["kind"] == "relay" and each["state"] == "live")

    def shapes(self) -> list[dict[str, Any]]:
        """The whole lines so far."""
        lines = b"".join(self.stdout).decode().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Waits for one that is wanted."""
        return until(lambda: next(filter(wanted, self.shapes()), None), why=self.said)

    def change(self, word: str, code: str) -> dict[str, Any]:
        """Waits for what became of a request."""
        return self.until(lambda each: each.get("change") == word and each["request"] == code)


@contextmanager
def lines(world: World, *words: str, who: str = "sam") -> Iterator[Lines]:
    """A watch in a pipe, for as long as a test looks."""
    opened = Lines(world, *words, who=who)
    try:
        yield opened
    finally:
        opened.process.kill()
        opened.wait()


def ask(world: World, *command: str, reason: str = "because") -> str:
    """A request of ana's; its code."""
    return world.ok("ana", "request", "box", "--reason", reason, "--", *command).strip()


def decide(window: Raw, key: str) -> None:
    """Opens the card, reads it to its end, and decides."""
    window.press("Enter")
    window.shows("d deny")
    read(window)
    window.press(key)


def read(window: Window, words: str = "a approve") -> None:
    """Reads a card to its end, which brings these words.

    No key where it asks nothing: that is the moment after a key, and one would renew it.
    """

    def read_all() -> bool:
        screen = window.screen
        if "more to read" in screen:
            window.press("NPage")
        return words in screen

    until(read_all, every=LOOK, why="its end does not come")


def bells(raw: bytes) -> int:
    """How often it rang; a BEL that only ends a sequence (the screen library's own) is none."""
    return re.sub(rb"\x1b\][^\x07\x1b]*\x07", b"", raw).count(b"\x07")


@tmux
def test_a_request_appears_and_rings_once_and_a_key_runs_it(tidy: World, tmp_path: Path) -> None:
    """In a session that sam has never followed; nothing is pressed before it is seen."""
    canary = tmp_path / "canary"
    with watcher(tidy, tmp_path) as window:
        code = ask(tidy, "touch", str(canary), reason="the spool; is full")
        screen = window.shows(code)
        assert "● new" in screen
        assert re.search(r"\d+:\d\d left", screen)
        assert 'ana: "the spool; is full"' in screen
        until(lambda: bells(window.raw))
        decide(window, "a")
        window.shows("approved by you")
        until(canary.exists)
        window.shows("Nothing waits")
        assert bells(window.raw) == 1
        assert window.raw.count(b"]9;Caisey: ana asks (persistent) on ACME/box: touch ") == 1
        assert window.raw.count(b"]777;notify;Caisey;ana asks") == 1
        window.press("q")
        until(lambda: window.gone)
    said = journals.records(tidy, journals.sessions(tidy)[-1], "sam")
    assert "approval.granted" in {each.head.kind for each in said}


@tmux
def test_what_was_chosen_stays_chosen_when_more_is_asked_for(tidy: World, tmp_path: Path) -> None:
    """The newest is marked until somebody has chosen: from then on the next key is meant for that one."""
    with watcher(tidy, tmp_path) as window:
        first, second = ask(tidy, "touch", "/tmp/one"), ask(tidy, "touch", "/tmp/two")
        window.shows(second)
        window.press("c")
        window.shows(f"Copied {second}")
        window.press("Up", "c")
        window.shows(f"Copied {first}")
        third = ask(tidy, "touch", "/tmp/three")
        window.shows(third)
        window.press("Down", "c")
        window.shows(f"Copied {second}")
        for code in (first, second, third):
            tidy.ok("ana", "deny", code, "--reason", "no", "--yes")


@tmux
def test_hostile_text_stays_inert_on_the_screen_and_in_the_notification(tidy: World, tmp_path: Path) -> None:
    with watcher(tidy, tmp_path) as window:
        title = window.title
        code = ask(tidy, "touch", HOSTILE, reason=HOSTILE)
        window.shows(code)
        until(lambda: b"]777;" in window.raw)
        assert window.title == title
        notices = re.findall(rb"\x1bPtmux;\x1b\x1b\](?:9|777;notify);(.*?)\x1b\x1b\\\x1b\\", window.raw)
        assert len(notices) == 2
        for notice in notices:
            text = notice.decode()
            assert text.isprintable()
            assert r"\u{1b}]2\u{3b}PWNED\u{7}" in text
        assert notices[1].count(b";") == 1, "the title's, and no other"
        assert bells(window.raw) == 1
        assert b"\xc2\x9c" not in window.raw
        assert "\u202e".encode() not in window.raw


@tmux
def test_a_long_command_says_how_much_of_it_is_folded(tidy: World, tmp_path: Path) -> None:
    with watcher(tidy, tmp_path) as window:
        code = ask(tidy, "touch", *(f"/tmp/file-{n}" for n in range(80)), "/THE-END")
        assert "more rows of the command, folded; Enter shows it" in window.shows(code)
        window.press("Enter")
        assert "a approve" not in window.shows("more to read before a yes counts")
        window.press("a")
        window.shows("command .*bytes")

        read(window)
        assert "THE-END" in window.screen
        assert code in tidy.ok("ana", "approvals"), "and the key before it decided nothing"


@tmux
def test_what_is_destructive_wants_the_endpoints_name_and_a_no_its_reason(tidy: World, tmp_path: Path) -> None:
    victim, other = tmp_path / "victim", tmp_path / "other"
    victim.write_text("")
    other.write_text("")
    with watcher(tidy, tmp_path) as window:
        code = ask(tidy, "rm", str(victim))
        window.shows(f"{code}.*destructive")
        decide(window, "a")
        window.shows(r"Type the endpoint's name \(box\)")
        window.type("bax")
        window.shows("not the endpoint's name")
        assert victim.exists()
        window.escape("not the endpoint's name")
        window.shows("nothing was decided")
        decide(window, "a")
        window.shows(r"Type the endpoint's name \(box\)")
        window.type("BOX")
        until(lambda: not victim.exists())

        code = ask(tidy, "rm", str(other))
        window.shows(f"{code}.*destructive")
        decide(window, "d")
        window.shows(f"Deny {code}: why")
        window.type("not today")
        window.shows('denied by you: "not today"')
        assert other.exists()


@tmux
def test_the_relay_is_lost_and_comes_back_by_itself(world: World, tmp_path: Path) -> None:
    with watcher(world, tmp_path) as window:
        window.shows(r"live \d+ s")
        assert world.relay is not None
        world.relay.kill()
        window.shows(r"reconnecting \d+ s")
        world.start_relay()
        window.shows(r"live \d+ s")
        until(lambda: world.caisey("ana", "run", "box", "--", "true").returncode == 0)
        code = ask(world, "touch", "/tmp/never")
        window.shows(code)
        assert bells(window.raw) == 1


def test_two_watch_and_one_decides(tidy: World) -> None:
    with lines(tidy) as sam, lines(tidy, who="ana") as ana:
        code = ask(tidy, "touch", "/tmp/never")
        assert sam.change("new", code)["yours"]
        own = ana.change("new", code)
        assert (own["own"], own["yours"]) == (True, False)
        tidy.ok("sam", "deny", code, "--yes", "--reason", "no; not now")
        assert ana.change("over", code)["became"] == 'denied by sam: "no; not now"'
        assert sam.change("over", code)["became"].startswith("denied by you")
        code = ask(tidy, "touch", "/tmp/never")
        sam.change("new", code)
        tidy.ok("ana", "deny", code, "--yes")
        assert "ana" in sam.change("over", code)["became"]


def test_what_waited_before_is_listed_and_not_rung_for(tidy: World) -> None:
    code = ask(tidy, "touch", "/tmp/never")
    with lines(tidy, "--exec", "echo ran > $HOME/ran") as sam:
        assert sam.change("waits", code)["left_ms"] > 0
        later = ask(tidy, "touch", "/tmp/never")
        sam.change("new", later)
        ran = Path(tidy.environment["HOME"]) / "ran"
        until(ran.exists)
        sam.process.send_signal(signal.SIGINT)
        assert sam.wait() == 130
        assert "Stopped watching" in sam.said


def test_exec_gets_the_facts_and_no_shell_reads_them(tidy: World, tmp_path: Path) -> None:
    facts, owned = tmp_path / "facts", tmp_path / "owned"
    command = f"env | grep ^CAISEY_ > {facts}.part; cat >> {facts}.part; mv {facts}.part {facts}; "
    command += "echo 'no;' >&2; exit 3"
    with lines(tidy, "--exec", command) as sam:
        code = ask(tidy, "touch", f"$(touch {owned})`touch {owned}`\n\x1b[2J", reason=f"; touch {owned}")
        sam.change("new", code)
        until(facts.exists)
        found = dict(line.split("=", 1) for line in facts.read_text().splitlines())
        assert found["CAISEY_REQUEST"] == code
        assert found["CAISEY_ENDPOINT"] == "ACME/box"
        assert found["CAISEY_CLASS"] == "unjudged"
        assert found["CAISEY_REQUESTER"] == "ana"
        assert found["CAISEY_REASON"] == f"; touch {owned}"
        assert found["CAISEY_COMMAND"].endswith("\\u{a}\\u{1b}[2J'")
        assert found["CAISEY_SESSION"].startswith("s")
        until(lambda: f"--exec for {code} ended with status 3: no;" in sam.said)
        assert not owned.exists()


def test_one_line_for_each_change_where_there_is_no_terminal(tidy: World) -> None:
    running = Running(tidy, "approvals", "--watch", who="sam")
    until(lambda: "Watching; nothing waiting" in running.said)
    code = ask(tidy, "touch", "/tmp/" + "n" * 600 + "/THE-END")
    line = until(lambda: b"".join(running.stdout).decode())
    assert line.startswith(f"new    {code}  ACME/box  persistent  touch /tmp/nnn")
    assert "/THE-END (" in line
    assert "\x07" not in line
    tidy.ok("sam", "deny", code, "--yes")
    until(lambda: f"over   {code}  ACME/box: denied by you\n" in b"".join(running.stdout).decode())
    running.interrupt()
    assert running.wait() == 130


def test_a_terminal_outside_tmux_gets_the_notification_as_it_is(tidy: World) -> None:
    with console(tidy, "sam", "approvals", "--watch") as opened:
        opened.shows("Nothing waits")
        ask(tidy, "touch", "/tmp/never")
        opened.shows("\x1b]9;Caisey: ana asks (persistent) on ACME/box: touch /tmp/never\x1b\\")
        opened.shows("\x1b]777;notify;Caisey;ana asks (persistent) on ACME/box: touch /tmp/never\x1b\\")
        assert bells(opened.screen.encode()) == 1
        opened.process.send_signal(signal.SIGINT)
        assert opened.wait() == 130
        opened.shows("Stopped watching")
        assert "Traceback" not in opened.screen


def test_quiet_is_quiet(tidy: World) -> None:
    with console(tidy, "sam", "approvals", "--watch", "--quiet") as opened:
        opened.shows("Nothing waits")
        code = ask(tidy, "touch", "/tmp/never")
        opened.shows(code)
        opened.type("q")
        assert opened.wait() == 0
        assert bells(opened.screen.encode()) == 0
        assert "\x1b]9;" not in opened.screen


def test_it_waits_for_a_relay_that_is_not_there_yet(world: World) -> None:
    assert world.relay is not None
    world.relay.kill()
    running = Running(world, "approvals", "--watch", who="sam")
    until(lambda: "It is tried again every 5 s" in running.said)
    world.start_relay()
    until(lambda: "Watching; nothing waiting" in running.said)
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 130


def test_a_reader_that_leaves_ends_it(tidy: World) -> None:
    sam = Lines(tidy)
    assert sam.process.stdout is not None
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -1; echo "${PIPESTATUS[0]}"', "-", *map(str, sam.process.args)],  # type: ignore[arg-type]
        env=tidy.environment | {"CAISEY_HOME": tidy.home("sam")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    sam.process.kill()
    sam.wait()
    assert done.stdout.endswith("141\n")
    assert "Traceback" not in done.stderr


def test_the_command_asks_for_the_endpoints_name_as_the_card_does(tidy: World, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("")
    code = ask(tidy, "rm", str(victim))
    with console(tidy, "sam", "approve", code) as opened:
        opened.shows("Type the endpoint's name (box) to approve it: ")
        opened.type("y\n")
        assert opened.wait() == 1
        opened.shows("Nothing was decided.")
    assert victim.exists()
    with console(tidy, "sam", "approve", code) as opened:
        opened.shows("Type the endpoint's name (box) to approve it: ")
        opened.type("box\n")
        assert opened.wait() == 0
    until(lambda: not victim.exists())


def test_a_prompt_beside_the_watch_is_up_to_date(tidy: World) -> None:
    with lines(tidy) as sam:
        code = ask(tidy, "touch", "/tmp/never")
        sam.change("new", code)
        until(lambda: tidy.ok("sam", "status", "--short") == "1 to approve\n")
        assert tidy.shape("sam", "status", "--short")["approvals"] == 1
        assert "48211" not in tidy.ok("ana", "status", "--short")
        tidy.ok("sam", "deny", code, "--yes")
        until(lambda: tidy.ok("sam", "status", "--short") == "")
