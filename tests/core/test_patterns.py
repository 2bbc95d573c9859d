"""What a policy's pattern fits: for certain only word by word, perhaps wherever the same could be meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core.matching import Commands
from caisey_core.patterns import Pattern
from tests.core.one_by_one import Fit, of_pattern

NO, PERHAPS, CERTAIN = Fit


def fit(pattern: str, *argv: str | None, windows: bool = False) -> Fit:
    """As `matching` finds it, which has to be what the two are when they are compared with each other alone."""
    own, commands = Pattern.of(pattern), Commands([argv], windows=windows)
    may = commands.perhaps(own)
    found = CERTAIN if commands.certain(own, may) else PERHAPS if may else NO
    assert len("".join(filter(None, argv))) > 1000 or found is of_pattern(own, argv, windows=windows)
    return found


@pytest.mark.parametrize(
    ("pattern", "command", "expected"),
    [
        ("systemctl restart *", "systemctl restart cups", CERTAIN),
        ("systemctl restart *", "/usr/bin/systemctl restart cups", CERTAIN),
        ("systemctl restart *", "/tmp/systemctl restart cups", PERHAPS),
        ("systemctl restart *", "SystemCtl restart cups", PERHAPS),
        ("systemctl restart *", "systemctl restart", PERHAPS),
        ("systemctl restart *", "systemctl restart cups sshd", PERHAPS),
        ("systemctl restart *", "systemctl --no-block restart cups", PERHAPS),
        ("systemctl restart *", "systemctl restart --force", PERHAPS),
        ("systemctl restart *", "systemctl status cups", NO),
        ("systemctl restart *", "systemctlx restart cups", NO),
        ("systemctl restart *", "echo systemctl restart cups", NO),
        ("systemctl restart cups", "systemctl restart sshd", NO),
        ("systemctl restart cups*", "systemctl restart cups-browsed", CERTAIN),
        ("rm", "rm", CERTAIN),
        ("rm", "rm -rf /", PERHAPS),
        ("rm ...", "rm -rf /", CERTAIN),
        ("rm -rf", "rm -r -f /", PERHAPS),
        ("rm -rf", "rm -fvr /", PERHAPS),
        ("rm -rf", "rm -r /", NO),
        ("rm --recursive", "rm --recurs /", PERHAPS),
        ("git push --force", "git -C /x push origin --force=yes", PERHAPS),
        ("git push --force", "git push origin", NO),
        ("/opt/msp/collect *", "/opt/msp/collect x", CERTAIN),
        ("/opt/msp/collect *", "collect x", PERHAPS),
        ("rm /tmp/*.log", "rm /tmp/a.log", CERTAIN),
        ("rm /tmp/*.log", "rm /tmp/../etc/a.log", PERHAPS),
        ("rm /tmp/*.log", "rm /tmp/x/a.log", PERHAPS),
        ("'my tool' *", "'my tool' x", NO),
    ],
)
def test_of_posix(pattern: str, command: str, expected: Fit) -> None:
    assert fit(pattern, *command.split()) is expected


def test_words_that_are_known_only_when_it_runs() -> None:
    assert fit("rm /tmp/x", "rm", None) is PERHAPS
    assert fit("rm *", "rm", None) is PERHAPS
    assert fit("rm ...", "rm", "-r", None) is PERHAPS
    assert fit("rm -r", None, "-r") is PERHAPS
    assert fit("rm -r", None, "x") is NO
    assert fit("rm", None) is PERHAPS
    assert fit("rm") is NO


@pytest.mark.parametrize(
    ("pattern", "argv", "expected"),
    [
        ("Restart-Service *", ["Restart-Service", "Spooler"], CERTAIN),
        ("restart-service *", ["RESTART-SERVICE", "Spooler"], CERTAIN),
        ("Stop-Process *", ["kill", "12"], CERTAIN),
        ("kill *", ["Stop-Process", "12"], CERTAIN),
        ("Restart-Service Spooler", ["Stop-Service", "Spooler"], NO),
        ("Restart-Service Spooler", ["spsv", "Spooler"], NO),
        ("Set-TimeZone *", ["Copy-Item", "x"], NO),
        ("sasv *", ["START-service", "x"], CERTAIN),
        ("Stop-Process *", ["spps", "$x"], PERHAPS),
        ("Remove-Item -Recurse", ["ri", "C:\\x", "-rec"], PERHAPS),
        ("Remove-Item -Recurse", ["del", "C:\\x"], NO),
        ("Restart-Service Spooler", ["Restart-Service", "-Name", "Spooler"], PERHAPS),
        ("sc stop *", ["C:\\Windows\\System32\\SC.exe", "stop", "Spooler"], CERTAIN),
        ("sc stop *", ["D:\\sc.exe", "stop", "Spooler"], PERHAPS),
        ("net stop *", ["net", "stop", "/y"], PERHAPS),
        ("net stop *", ["nets", "stop", "x"], NO),
        ("taskkill /f", ["taskkill", "/F", "/im", "x"], PERHAPS),
        ("shutdown /r", ["&", "x"], NO),
    ],
)
def test_of_windows(pattern: str, argv: list[str], expected: Fit) -> None:
    assert fit(pattern, *argv, windows=True) is expected


@pytest.mark.parametrize(
    ("pattern", "word", "expected"),
    [
        ("a*b*c", "aXbYc", CERTAIN),
        ("a*b*c", "abc", CERTAIN),
        ("a*b*c", "acb", NO),
        ("ab*ba", "aba", NO),
        ("/x/*/y", "/x/z/y", CERTAIN),
        ("/x/*/y", "/x/z/z/y", PERHAPS),
        ("/x/*", "/x/..", PERHAPS),
        ("*.log", ".log", CERTAIN),
    ],
)
def test_stars_inside_a_word(pattern: str, word: str, expected: Fit) -> None:
    assert fit(f"ls {pattern}", "ls", word) is expected


def test_no_pattern_goes_back_and_forth() -> None:
    """With a search that tries again from each place this would not end."""
    assert fit("ls a*a*a*a*a*a*a*b", "ls", "a" * 100_000) is NO


@pytest.mark.parametrize(
    "text", ["ls " + "a*" * 9, "", "  ", "* x", "rm ... x", "ls | wc", "ls;", "a$b", "a'b'", "(x)", "... rm", "'a'b"]
)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Pattern.of(text)


words = st.lists(st.text("ab-*/.", min_size=1, max_size=4), min_size=1, max_size=4)


@given(words, words, st.data())
def test_what_fits_for_certain_still_fits_perhaps_in_another_order_and_with_more(
    own: list[str], more: list[str], data: st.DataObject
) -> None:
    """Nobody gets around a stricter rule by moving words about or adding some."""
    try:
        pattern = Pattern.of(" ".join(["rm", *own]))
    except ValueError:
        return
    argv = [word.replace("*", "a") or "a" for word in pattern.words[1:] if word != "..."]
    shuffled = data.draw(st.permutations([*argv, *more]))
    assert fit(pattern.text, "rm", *shuffled) >= Fit.PERHAPS


NAMES = "rm RM /bin/rm sc sc.exe kill Stop-Process C:\\Windows\\System32\\rm.exe"
WORDS = "x X -r -rf -f --re --recursive --re=1 a/b a/c .. a* /a /all - -- +x $x %x%"
tokens = st.sampled_from(f"{NAMES} {WORDS}".split())
own_words = st.sampled_from(["*", "a*", "*/b", "a/*", "-*", "*x*"]) | tokens
commands = st.lists(st.lists(tokens | st.none(), max_size=4).map(tuple), max_size=4)


@settings(max_examples=500)
@given(st.lists(own_words, min_size=1, max_size=4), st.booleans(), commands, st.booleans())
def test_all_at_once_is_the_same_as_one_by_one(
    own: list[str], open_: bool, argvs: list[tuple[str | None, ...]], windows: bool
) -> None:
    try:
        pattern = Pattern.of(" ".join([*own, *["..."] * open_]))
    except ValueError:
        return
    prepared = Commands(argvs, windows=windows)
    may = prepared.perhaps(pattern)
    certain = prepared.certain(pattern, may)
    for place, argv in enumerate(argvs):
        found = (may >> place & 1) + (certain >> place & 1)
        assert found == of_pattern(pattern, argv, windows=windows), argv
