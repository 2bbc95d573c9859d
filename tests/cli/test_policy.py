"""`caisey policy explain`: the gate's own judgement, for people, as JSON, and for many commands at once."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from caisey_cli.app import status
from caisey_core.errors import Exit
from caisey_core.policy import judge_argv, judge_script
from tests.cli.test_app import BIN, caisey, heavy, imported
from tests.counting import calls

SHAPE = {"v", "kind", "verdict", "risk", "rule", "why", "commands"}


def explained(*words: str) -> dict[str, object]:
    done = caisey("policy", "explain", "--json", *words, home=Path("/nonexistent"))
    assert done.returncode == 0, done.stderr
    shown: dict[str, object] = json.loads(done.stdout)
    assert set(shown) == SHAPE
    return shown


def test_words_are_an_argument_list_and_one_is_a_script() -> None:
    assert explained("--", "echo", "a; rm x")["risk"] == judge_argv(["echo", "a; rm x"]).risk == "observe"
    assert explained("--", "echo a; rm x")["risk"] == judge_script("echo a; rm x", "/bin/sh").risk == "destructive"
    assert explained("--shell", "bash", "--", "ls", "|&", "wc")["verdict"] == "run"
    assert explained("--shell", "sh", "--", "ls", "|&", "wc")["verdict"] == "quorum"


def test_every_command_is_shown_as_it_was_found() -> None:
    shown = explained("--", "ls $(sudo rm x)")
    assert (shown["verdict"], shown["risk"], shown["rule"]) == ("quorum", "destructive", "rm")
    assert [(each["argv"], each["risk"]) for each in shown["commands"]] == [  # type: ignore[attr-defined]
        (["sudo", "rm", "x"], "observe"),
        (["rm", "x"], "destructive"),
        (["ls", None], "observe"),
    ]


def test_people_read_it_in_80_columns() -> None:
    done = caisey("policy", "explain", "--", "find", "/" + "very-long-directory/" * 20, "-name", "\x1b[2J", "-delete")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.isprintable() or "\x1b" not in done.stdout
    done = caisey("policy", "explain", "--", "ls; find /tmp -delete")
    assert done.stdout.splitlines() == [
        "destructive: asks another member to approve",
        "rule   find -delete",
        "why    Deletes what it finds.",
        "",
        "1      ls",
        "       observe (ls): Lists the names and properties of files.",
        "",
        "2      find /tmp -delete",
        "       destructive (find -delete): Deletes what it finds.",
    ]


@pytest.mark.parametrize("words", [(), ("--",), ("--stdin", "--", "ls"), ("--shell", "fish", "--", "ls"), ("ls",)])
def test_a_wrong_use_is_said(words: tuple[str, ...]) -> None:
    done = caisey("policy", "explain", *words)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")


def test_a_policy_that_is_not_published_is_tried(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[classes]\nobserve = "deny"\ndestructive = { then = "quorum", members = 2, roles = ["admin"] }\n')
    words = ("policy", "explain", "--policy", str(file))
    done = caisey(*words, "--", "rm", "x")
    assert (
        done.stdout.splitlines()[:2]
        == [
            "destructive: asks to be approved by 2 other admins",
            f"by     {file}, on no endpoint in particular",
        ]
        or len(str(file)) > 40
    )
    shown = json.loads(caisey(*words, "--json", "--", "rm", "x").stdout)
    assert shown["quorum"] == {"members": 2, "roles": ["admin"]}
    assert (shown["policy"], shown["endpoint"], shown["verdict"]) == (str(file), "", "quorum")
    assert json.loads(caisey(*words, "--json", "--", "ls").stdout)["verdict"] == "deny"
    file.write_text('[classes]\nobserved = "deny"\n')
    done = caisey(*words, "--", "ls")
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert f"{file}:2: classes.observed: there is no class 'observed'" in done.stderr


def test_a_line_for_cmd_is_read_as_the_policy_wants_it(tmp_path: Path) -> None:
    file, line = tmp_path / "policy.toml", ("--json", "--shell", "cmd", "--", "ipconfig | findstr DNS")
    assert json.loads(caisey("policy", "explain", *line).stdout)["verdict"] == "run"
    for said, verdict, rule in (("split", "run", "ipconfig"), ("whole", "quorum", "cmd whole")):
        file.write_text(f'[classes]\nobserve = "run"\nunjudged = "quorum"\n[shells]\ncmd = "{said}"\n')
        shown = json.loads(caisey("policy", "explain", "--policy", str(file), *line).stdout)
        assert (shown["verdict"], shown["rule"]) == (verdict, rule)
        assert [each["argv"][0] for each in shown["commands"]] == ["ipconfig", "findstr"]


def many(text: str | bytes) -> list[dict[str, object]]:
    done = subprocess.run(
        [BIN / "caisey", "policy", "explain", "--stdin"],
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_many_are_answered_in_order_and_a_bad_line_ends_nothing() -> None:
    lines = [
        b'{"command": "ls"}',
        b"",
        b"nonsense",
        b'{"shell": "sh"}',
        b'{"command": "ls", "shell": "fish"}',
        b'{"command": 1}',
        b"\xff\xfe",
        b'{"command": "\\ud800"}',
        b'{"command": "%s"}' % (b"x" * 300_000),
        b"[" * 100_000,
        b'{"command": "rm x", "shell": "bash", "more": 1}',
    ]
    answers = many(b"\n".join(lines))
    assert [answer.get("risk", "error" if "error" in answer else "") for answer in answers] == (
        ["observe", *["error"] * 9, "destructive"]
    )
    assert all(answer["v"] == 1 and answer["kind"] == "policy" for answer in answers)
    assert many("") == []


def test_one_of_many_costs_some_hundred_calls(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = ["ls -la /var/log", "systemctl status nginx", "tail -n 5 /var/log/syslog | grep x", "rm -rf /tmp/x"]
    lines = "".join(json.dumps({"command": command}) + "\n" for command in commands)

    def judged(times: int) -> int:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(lines.encode() * times)))
        return calls(lambda: status(["policy", "explain", "--stdin"]))

    judged(1)  # what is imported, and the tables
    one, many_ = judged(1), judged(101)
    assert len(capfd.readouterr().out.splitlines()) == 4 * 103
    assert many_ - one < 100 * len(commands) * 1_000


def test_it_loads_nothing_that_it_does_not_need() -> None:
    assert not heavy(imported("policy", "explain", "--help"))
    modules = imported("policy", "explain", "--", "ls", "-la")
    assert heavy(modules) <= {each for each in modules if each.startswith("msgspec")}
