"""What a script is taken apart into, and what becomes a doubt; the oracle is the shell itself."""

import os
import re
import subprocess
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caisey_core import grammar
from caisey_core.grammar import SCRIPT_LIMIT
from caisey_core.shell import PROGRAM_LIMIT, Program, take_apart
from caisey_core.words import strange_text
from tests.counting import calls

SH, BASH = "/bin/sh", "/bin/bash"


def argvs(script: str, shell: str = SH) -> list[tuple[str | None, ...]]:
    taken = take_apart(script, shell)
    assert not taken.doubt, taken.doubt
    return [program.argv for program in taken.programs if program.argv]


@pytest.mark.parametrize(
    ("script", "programs"),
    [
        ("ls -la", [("ls", "-la")]),
        ("a | b && c || d; e & f\ng", [("a",), ("b",), ("c",), ("d",), ("e",), ("f",), ("g",)]),
        ("(a; b) | { c; }", [("a",), ("b",), ("c",)]),
        ("! a", [("a",)]),
        ("if a; then b; elif c; then d; else e; fi", [("a",), ("b",), ("c",), ("d",), ("e",)]),
        ("while a; do b; done; until c; do d; done", [("a",), ("b",), ("c",), ("d",)]),
        ("for f in x $(a) *.y; do b $f; done", [("a",), ("b", None)]),
        ("a $(b `c`) \"$(d 'x y')\"", [("c",), ("b", None), ("d", "x y"), ("a", None, None)]),
        ("[ -n \"$x\" -a b = 'c d' ]", [("[", "-n", None, "-a", "b", "=", "c d", "]")]),
        ("l\\s '-l'\"a\"h", [("ls", "-lah")]),
        ('"ls" "a\\"b\\$c\\d"', [("ls", 'a"b$c\\d')]),
        ("grep 'x$' a$ \"b$\"", [("grep", "x$", "a$", "b$")]),
        ('echo $x ${x} ${x%.y} ${#x} $((1 + 2)) $? "a $x"', [("echo", *[None] * 7)]),
        ("ls *.log a?[bc] '*'", [("ls", None, None, "*")]),
        ("echo {a,b} {}", [("echo", None, "{}")]),
        ("rm${IFS}-rf", [(None,)]),
        ("a \\\n  b", [("a", "b")]),
        ("a # b\nc", [("a",), ("c",)]),
        ("a;# b; c", [("a",)]),
        ("find . \\( -name x \\) -exec rm {} \\;", [("find", ".", "(", "-name", "x", ")", "-exec", "rm", "{}", ";")]),
        ("echo > f a; > g b c", [("echo", "a"), ("b", "c")]),
        ("time a", [("time", "a")]),
        ("ls ~/x", [("ls", "~/x")]),
        ("", []),
        ("# nothing", []),
    ],
)
def test_every_program_is_found(script: str, programs: list[tuple[str | None, ...]]) -> None:
    assert argvs(script) == programs
    assert argvs(script, BASH) == programs


@pytest.mark.parametrize(
    ("script", "program"),
    [
        ("a > f", Program(("a",), writes=("f",), patterns=(None,))),
        ("a >| f 2>> g < h", Program(("a",), writes=("f",), appends=("g",), reads=("h",), patterns=(None,))),
        ("2>/dev/null a >&2 2>&1 3>&-", Program(("a",), patterns=(None,))),
        ("a > $x", Program(("a",), writes=(None,), patterns=(None,))),
        ("> f", Program(writes=("f",))),
        ("X=1 Y=$z a", Program(("a",), assignments=("X=1", "Y=$z"), patterns=(None,))),
        ("X=1", Program(assignments=("X=1",))),
        ("ls *.x", Program(("ls", None), patterns=(None, "*.x"))),
        ("echo a>b2", Program(("echo", "a"), writes=("b2",), patterns=(None, None))),
    ],
)
def test_redirections_assignments_and_patterns(script: str, program: Program) -> None:
    assert take_apart(script, SH).programs == (program,)
    assert not take_apart(script, SH).doubt


@pytest.mark.parametrize(
    ("script", "programs"),
    [
        ("for f in x y; do a $f; done", [("a", "x"), ("a", "y")]),
        ('for f in x; do a ${f} "$f" "${f}"; done; b $f', [("a", "x", "x", "x"), ("b", None)]),
        ('for f in x; do a "$f/y" /z/$f.w $g; done', [("a", "x/y", "/z/x.w", None)]),
        ("for f in '*' y; do a $f; done", [("a", None)]),
        ("for f in x; do a ${f}y $fy '$f' \\$f \"\\$f\"; done", [("a", "xy", None, "$f", "$f", "$f")]),
        ("for f in -x; do a $f | b; done", [("a", "-x"), ("b",)]),
        ("for f in x; do read f; a $f; done", [("read", "f"), ("a", None)]),
        ("for f in x; do f=y; a $f; done", [("a", None)]),
        ("for f in x; do for g in y z; do a $f $g; done; done", [("a", None, "y"), ("a", None, "z")]),
        ("for f in $x; do a $f; done", [("a", None)]),
        ("for f in 'x y'; do a $f; done", [("a", None)]),
        ("for f in x y; do a; done", [("a",)]),
    ],
)
def test_a_loop_is_read_for_each_of_its_words(script: str, programs: list[tuple[str | None, ...]]) -> None:
    assert argvs(script) == programs
    assert argvs(script, BASH) == programs


def test_a_loop_over_a_pattern_is_known_only_in_quotes() -> None:
    quoted = take_apart('for f in /v/*.log; do a "$f"; done', SH).programs[-1]
    assert (quoted.argv, quoted.patterns) == (("a", None), (None, "/v/*.log"))
    assert take_apart("for f in /v/*.log; do a $f; done", SH).programs[-1].patterns == (None, None)


def test_a_redirection_after_several_commands_stands_alone() -> None:
    assert take_apart("{ a; b; } > f", SH).programs[-1] == Program(writes=("f",))
    assert take_apart("a | b > f", SH).programs[-1] == Program(writes=("f",))


@pytest.mark.parametrize(
    "script",
    [
        "a 'x", "a \"x", "a (", "a )", "if a", "a;;", "a &&", "$(", "`",
        "f() { a; }", "function f { a; }", "case x in x) a;; esac", "[[ a =~ b ]]", "[[ -v x ]]",
        "[[ 1 -eq 1 ]]", "[[ a ]]", "[[ -f a", "[[ a == b(c) ]]", "[[ a == $(b) && -v c ]]",
        "((1))", "a <<E\nx\nE",
        "a <<'E'\nx\nE",
        "coproc a", "select x in a; do b; done", "declare x=1", "export X=1", "local x", "unset x",
        "a $'\\x72'", "a $\"x\"", "a ${x:=y}", "a ${x:-$(b)}", "a ${!x}", "a ${x@P}", "a ${x/y/z}", "a $((x[1]))",
        "a $[1]", "a @(b|c)",
        "a `b \\`c\\``", "a \"`b \"c\"`\"", "for PATH in x; do a; done", "a\\\nb", "a<(b)c",
        "a 22>&1", "a 2>& -l", "a >&f",
        "a \r", "a\rb", "a\x1b[2J", "a \u202eb", "a\u00a0b", "a\u200bb", "a \ufeff", "a\u2028b", "a \x7f",
        "a \x80", "a \ud800", "a\x0bb", "\x00",
        "a <> f", "if\na", "do", "}", "! }", "then a", "a; }", "((a) | (b))", "a |", "a#b c",
        "time -p; )", "$((a) | (b))",
    ],
)  # fmt: skip
def test_what_is_not_certain_is_a_doubt(script: str) -> None:
    for shell in (SH, BASH):
        taken = take_apart(script, shell)
        assert taken.doubt, taken


def test_a_doubt_still_lists_what_was_found() -> None:
    taken = take_apart("f() { rm x; }; ls <<E\n$(id)\nE", SH)
    assert taken.doubt
    assert {program.argv for program in taken.programs} >= {("rm", "x"), ("id",), ("ls",)}


@pytest.mark.parametrize(
    "script", ["[[ -f a ]]", '[[ $x == b || ! -d "$y" ]]', "a &> f", "a &>> f", "a |& b", "a <<< b", "a <(b)", "a >(b)"]
)
def test_sh_is_not_bash(script: str) -> None:
    assert take_apart(script, SH).doubt
    assert not take_apart(script, BASH).doubt


@pytest.mark.parametrize("shell", ["", "sh", "/bin/zsh", "/usr/bin/fish", "/tmp/sh", "/bin/../bin/sh"])
def test_another_shell_is_a_doubt(shell: str) -> None:
    assert take_apart("ls", shell).doubt


def test_limits() -> None:
    assert take_apart("a" * (SCRIPT_LIMIT + 1), SH).doubt
    many = take_apart("a;" * (PROGRAM_LIMIT + 1), SH)
    assert many.doubt
    assert len(many.programs) == PROGRAM_LIMIT
    assert take_apart("$(" * 100 + "a" + ")" * 100, SH).doubt


def test_strange_text() -> None:
    assert not strange_text("grüße 日本 \n\t☃")
    for char in "\r\x00\x1b\x7f\x85\u00ad\u061c\u200d\u202e\u2066\u3164\ufe0f\ufeff\U000e0041\ud800\ue000":
        assert f"U+{ord(char):04X}" in strange_text(f"a{char}b")


SLOW = [")", "()", "$[", "@(x=", ">&", "~$", "a|", "a=(", "${a", "<a\\]]`", "a && ", "[[ ", '")', "'", "<<a ", "a;"]


@pytest.mark.parametrize("piece", SLOW)
@pytest.mark.parametrize("size", [SCRIPT_LIMIT, SCRIPT_LIMIT // 8])
def test_what_a_script_costs_grows_no_faster_than_the_script(piece: str, size: int) -> None:
    """The parser tells what it does, step by step: of some of these it would do 33 million, were it let."""
    script = piece * (size // len(piece))
    parser, steps = grammar._parser(), 0

    def done(*_: object) -> None:
        nonlocal steps
        steps += 1

    parser.logger = done
    try:
        take_apart(script, BASH)
    finally:
        del parser.logger
    assert steps < 5_000 + 20 * size
    assert calls(partial(take_apart, script, BASH)) < 5_000 + 40 * size


PIECES = (
    "a", "b", " a", " x", " -l", " ", "\t", "\n", ";", " ; ", "&&", "||", "|", " | ", " & ", "(", ")", "$(a", "$(",
    "`", "'", '"', "\\", "\\\n",
    "$", "$x", "${x}", '"$y"', "#", " #", "{ ", "; }", "}", "if ", "; then ", "; fi", "; else ", "for i in 1 2",
    "; do ", "; done", "! ", "[ ", " ]",
    "2>f", "2>&1", ">f", ">>g", "<f", ">&2", "<&", "&>f", "|&", ";;", "<<E", "\nE\n", "<<<", "<(", "x=1 ", "*",
    "?", "~", "-", "^", "%", "@", "2",
    "$((1+1))", "[[ ", "]]", "$'", "é", "case x in ", "function ", "a()", "true", "in ", "a 'q r'", 'b "$x y"',
    "c $(a)", "a \\; b", "b ${x#a}", "for i in p -q; do a $i", '"$i"', " x${i}z", " $i",
    "for i in *; do b \"$i\"", "for i in a b; do $i",
)  # fmt: skip


@given(st.text())
def test_no_text_makes_it_raise(script: str) -> None:
    take_apart(script, SH)
    take_apart(script, BASH)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs a, b and c, each of which notes the words it was started with."""
    folder = tmp_path_factory.mktemp("tools")
    for name in "abc":
        tool = folder / name
        tool.write_text('#!/bin/bash\nprintf "%s\\0" "${0##*/}" "$@" > "$NOTES/$$"\n')
        tool.chmod(0o755)
    return folder


@pytest.mark.parametrize("shell", [SH, BASH])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
def test_a_shell_starts_nothing_that_was_not_found(shell: str, pieces: list[str], tools: Path, tmp_path: Path) -> None:
    script = "".join(pieces)
    taken = take_apart(script, shell)
    if taken.doubt or "/" in script:
        return
    notes, work = tmp_path / "notes", tmp_path / "work"
    for folder in (notes, work):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
    environment = {"PATH": str(tools), "NOTES": str(notes), "y": "Y Z", "HOME": "/nowhere"}
    try:
        subprocess.run(
            [shell, "-c", script], cwd=work, env=environment, stdin=-3, capture_output=True, timeout=5, check=False
        )
    except subprocess.TimeoutExpired:
        pass
    for note in notes.iterdir():
        words = note.read_bytes().decode(errors="replace").split("\0")[:-1]
        assert any(_may_be(words, program.argv) for program in taken.programs), (script, words, taken)
    writes = {target for program in taken.programs for target in program.writes + program.appends}
    assert None in writes or {entry.name for entry in os.scandir(work)} <= writes, (script, writes)


def _may_be(words: list[str], found: tuple[str | None, ...]) -> bool:
    """Whether these words are the program that was found; a word that is not literal may be any number of them."""
    parts = [".*" if word is None else re.escape("/nowhere" if word == "~" else word) + "\0" for word in found]
    return bool(re.fullmatch("".join(parts), "".join(word + "\0" for word in words), re.DOTALL))


@pytest.mark.parametrize("piece", ['")', "')", ")$a", "a)", "]);"])
def test_what_the_parser_would_go_over_again_and_again_is_not_given_to_it(piece: str) -> None:
    """Each of these signs begins a part that the grammar then finds to be none."""
    assert take_apart(piece * 401, SH).doubt == "It is too entangled to be taken apart in time."
    assert not take_apart("echo $(date) $(id);" * 60, SH).doubt
