"""The policy file: what it may say, what is refused and where, and that nothing is lost when it is written anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core import probing
from caisey_core.kinds import Class, Decision, PolicyPublished, Quorum, Role
from caisey_core.patterns import Pattern
from caisey_core.policyfile import DEFAULT, FORMAT, TEXT_LIMIT, builtin, in_force, load, read_file
from caisey_core.policytext import PolicyError, bound, line_of, named, rule_lines, written
from caisey_core.roster import Roster
from caisey_core.ruling import ANYBODY, Need, Policy, Reading, Rule, Subject, Unrecorded, rule
from tests.core.world import Workspace

CLASSES = "[classes]\n" + "".join(f'{each.value} = "quorum"\n' for each in Class)
RULE = '[[rule]]\nname = "r"\nwhy = "Because."\n'


def refused(text: str) -> str:
    with pytest.raises(PolicyError) as error:
        load(text, "p.toml")
    assert str(error.value).endswith((".", "?"))
    assert "policy show --default" in error.value.hint or "at most" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = ", "p.toml:1: this is no value: a text stands in quotes, a list in [ ]."),
        ("[classes]\nobserve = run", "p.toml:2: this is no value"),
        ('[classes]\nobserve = "run', "p.toml:2: the closing quote of a text is missing."),
        ('[classes]\nobserve = "run\n', "p.toml:2: the closing quote of a text is missing."),
        ('[classes]\nobserve = "run"\nobserve = "deny"', "p.toml:3: this key stands there twice."),
        ("[classes]\n[classes]", "p.toml:2: this table stands there twice, or under a name that has a value."),
        ("[classes]\nobserve", "p.toml:2: a key is followed by = and its value."),
        ('[tags]\nx = ["a", ', "p.toml:2: "),
        ("[Classes]", "p.toml:1: Classes: there is no such key"),
        ("[rule]\nname = 'x'", "p.toml:1: rule: rules are written as [[rule]]."),
        (
            "[[rules]]\nname = 'x'",
            "p.toml:1: rules: there is no such key; there are classes, shells, tags, journal and rule; did you",
        ),
        ("\n[classes\n", "p.toml:2: "),
        ("a = 1\n", "p.toml:1: a: there is no such key"),
        (
            "[clases]\n",
            "p.toml:1: clases: there is no such key; there are classes, shells, tags, journal and rule; did you mean",
        ),
        (
            '[classes]\nobserve = "run"\n\nreversable = "run"',
            "p.toml:4: classes.reversable: there is no class 'reversable'",
        ),
        ('[classes]\nobserve = "allow"', "p.toml:2: classes.observe.then: there is no 'allow'"),
        ("[classes]\nobserve = 3", "p.toml:2: classes.observe.then: there is no 3"),
        ('[classes]\nobserve = { then = "quorum", who = 2 }', "p.toml:2: classes.observe.who: there is no such key"),
        ('[classes]\nobserve = { then = "run", members = 2 }', "p.toml:2: classes.observe.members: it goes with then"),
        (
            '[classes]\nobserve = { then = "quorum", members = 0 }',
            "classes.observe.members: it is a number from 1 to 10",
        ),
        ('[classes]\nobserve = { then = "quorum", members = true }', "it is a number from 1 to 10"),
        ('[classes]\nobserve = { then = "quorum", roles = ["boss"] }', "there is no role 'boss'"),
        (
            '[classes]\n\n[journal]\nunrecorded = "run on"',
            "p.toml:4: journal.unrecorded: there is no 'run on'; there are stop and run-on; did you mean 'run-on'?",
        ),
        ("[journal]\nunrecorded = true", "p.toml:2: journal.unrecorded: there is no True; there are stop and run-on"),
        (
            "[journal]\nunrecordet = 1",
            "p.toml:2: journal.unrecordet: there is no such key; there is unrecorded; did you",
        ),
        ("journal = 'stop'", "p.toml:1: journal: this is a table"),
        ("classes = 1", "p.toml:1: classes: this is a table"),
        ("shells = 1", "p.toml:1: shells: this is a table, written as [shells]"),
        ('[shells]\ncmd = "whole"\ncmb = "split"', "p.toml:3: shells.cmb: there is no such key; there is cmd; did you"),
        ('[shells]\nsh = "split"', "p.toml:2: shells.sh: there is no such key; there is cmd."),
        ('[shells]\ncmd = "splt"', "p.toml:2: shells.cmd: there is no 'splt'; there are whole and split; did you mean"),
        ("[shells]\ncmd = true", "p.toml:2: shells.cmd: there is no True; there are whole and split."),
        ("[shells]\ncmd = ['split']", "p.toml:2: shells.cmd: there is no ['split']"),
        ("rule = 1", "p.toml:1: rule: rules are written as [[rule]]"),
        ("[tags]\nservers = []", "p.toml:2: tags.servers: the list is empty; name something, or leave it out."),
        ("[tags]\nservers = [1]", "p.toml:2: tags.servers: it is a text or a list of texts"),
        (
            f'{RULE}then = "deny"\nclas = "observe"',
            "p.toml:5: rule[1].clas: there is no such key in a rule; did you mean",
        ),
        (f'{RULE}then = "deny"\nclass = "observed"', "p.toml:5: rule[1].class: there is no class 'observed'"),
        (f'{RULE}then = "deny"\nrole = "boss"', "p.toml:5: rule[1].role: there is no role 'boss'"),
        (f'{RULE}then = "deny"\ntag = "x"', "p.toml:5: rule[1].tag: there is no tag 'x' in [tags]"),
        (f'{RULE}then = "deny"\nexamples-in = "fish"', "p.toml:5: rule[1].examples-in: there is no shell 'fish'"),
        (f"{RULE}", "p.toml:1: rule[1]: it does not say what then"),
        (
            f'{RULE}then = "dney"',
            "p.toml:4: rule[1].then: there is no 'dney'; there are run, confirm, quorum, deny; did you",
        ),
        ('[[rule]]\nwhy = "x"\nthen = "deny"', "p.toml:1: rule[1]: the rule has no name"),
        ('[[rule]]\nname = "x"\nthen = "deny"', "p.toml:1: rule[1]: the rule has no why"),
        ('[[rule]]\nname = "x\\u202e"\nwhy = "x"\nthen = "deny"', "p.toml:2: rule[1].name: it is a line of text"),
        (f'{RULE}then = "deny"\n{RULE}then = "deny"', "p.toml:6: rule[2].name: there is a rule 'r' already"),
        (f'{RULE}then = "deny"\ncommand = "ls | wc"\nmatch = "ls"', "p.toml:5: rule[1].command: '|' is the shell's"),
        (f'{RULE}then = "deny"\ncommand = "rm"', "rule[1].match: a rule for commands shows at least one"),
        (f'{RULE}then = "deny"\nmatch = "rm x"', "rule[1].match: examples are of commands, and this rule is for all"),
    ],
)
def test_what_is_refused_where(text: str, says: str) -> None:
    assert says in refused(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[classes]\npersistent = "run"',
            "p.toml:2: classes.persistent: what is persistent cannot be 'run': the lightest is",
        ),
        ('[classes]\ndestructive = "confirm"', "what is destructive cannot be 'confirm': the lightest is 'quorum'"),
        ('[classes]\nunjudged = "run"', "what is unjudged cannot be 'run'"),
        (f'{RULE}class = "destructive"\nthen = "run"', "p.toml:5: rule[1].then: what is destructive cannot be 'run'"),
        (f'{RULE}class = "unjudged"\ncommand = "x"\nmatch = "x"\nthen = "run"', "the lightest is 'confirm'"),
        (
            f'{RULE}class = "destructive"\ncommand = "rm ..."\nmatch = "rm x"\nthen = "confirm"',
            "'...' could be anything",
        ),
        (f'{RULE}then = "run"', "p.toml:4: rule[1].then: a rule that lets something run has to name its class"),
        (f'{RULE}command = "useradd *"\nmatch = "useradd x"\nthen = "run"', "has to name its class"),
    ],
)
def test_what_would_be_too_light_is_refused(text: str, says: str) -> None:
    assert says in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        '[classes]\nobserve = "run"\nsensitive = "run"\nreversible = "run"\npersistent = "confirm"',
        f'{RULE}class = "persistent"\ncommand = "useradd *"\nmatch = "useradd x"\nthen = "run"',
        f'{RULE}class = "destructive"\ncommand = "rm /tmp/cache"\nmatch = "rm /tmp/cache"\nthen = "confirm"',
        f'{RULE}class = "reversible"\ncommand = "systemctl restart ..."\nmatch = "systemctl restart x y"\nthen = "run"',
        f'{RULE}class = ["reversible", "sensitive"]\nthen = "run"',
        f'{RULE}then = "confirm"',
        f'{RULE}class = "unjudged"\ncommand = "git status"\nmatch = "git status"\nthen = "confirm"',
    ],
)
def test_what_an_owner_may_let_through(text: str) -> None:
    assert load(text, "p.toml").rules or load(text, "p.toml").classes


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        ('match = "rm x"', ""),
        ('match = ["sudo rm -rf x", "ls; rm y", "$(rm z)"]\nno-match = ["ls rm", "rmdir x"]', ""),
        ('match = ["rm x", "ls"]', "p.toml:6: rule[1].match: 'ls' is observe (ls), and the rule does not count for it"),
        (
            'match = "rm x"\nno-match = "ls; rm y"',
            "p.toml:7: rule[1].no-match: 'ls; rm y' is destructive (rm), and the rule",
        ),
        ('examples-in = "powershell"\nmatch = "rm x"\nno-match = "Get-Item x"', ""),
    ],
)
def test_examples_are_judged(examples: str, says: str) -> None:
    text = f'{RULE}then = "deny"\ncommand = "rm"\n{examples}'
    if says:
        assert says in refused(text)
    else:
        load(text, "p.toml")


def test_examples_of_what_is_made_lighter_have_to_fit_for_certain() -> None:
    own = f'{RULE}class = "reversible"\ncommand = "systemctl restart cups"\nthen = "run"\nmatch = '
    load(own + '["systemctl restart cups", "sudo systemctl restart cups"]', "p.toml")
    load(own + '["systemctl restart cups"]\nno-match = ["systemctl restart cups sshd"]', "p.toml")
    assert "does not count" in refused(own + '"systemctl restart cups sshd"')
    assert "does not count" in refused(own + '"systemctl restart cups | cat"')


def test_empty_is_a_policy_that_denies() -> None:
    empty = load("", "p.toml")
    assert (empty.classes, empty.rules) == ({}, ())


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(PolicyError, match="cannot be read") as error:
            read_file(path)
        assert "policy show --default" in error.value.hint
    for raw, says in (
        (b"a = 1\nb = '\xff'", "x:2: this is not text in UTF-8: invalid start byte at byte 11."),
        ("[classes]".encode("utf-16"), "It looks like UTF-16."),
        (b"#" * TEXT_LIMIT + b"\xff" * 10, "at most 200 KiB"),
        (b"#" * 10_000_000, "at most 200 KiB"),
    ):
        (tmp_path / "x").write_bytes(raw)
        with pytest.raises(PolicyError) as error:
            read_file(tmp_path / "x")
        assert says in str(error.value)
        assert error.value.hint
    with pytest.raises(PolicyError, match="at most 200 KiB"):
        read_file(Path("/dev/zero"))
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf[classes]\r\nobserve = 'run'\r\n")
    assert read_file(tmp_path / "x").classes[Class.OBSERVE].decision is Decision.RUN
    assert "at most 200 KiB" in refused("#" * (TEXT_LIMIT + 1))
    assert "p.toml:" in refused("a = " + "[" * 10_000)
    assert "p.toml:" in refused("a = " + "9" * 10_000)


def test_the_examples_in_the_default_policy_are_right() -> None:
    """What is commented out there is a policy too."""
    text = DEFAULT.read_text()
    for each in Unrecorded:
        said = text.replace('# [journal]\n# unrecorded = "run-on"', f'[journal]\nunrecorded = "{each}"')
        assert (load(said, "default").unrecorded, said == text) == (each, False)
    assert load(text, "default").unrecorded is Unrecorded.STOP
    begin = text.index("# [tags]")
    shown = "".join(line.removeprefix("#").removeprefix(" ") for line in text[begin:].splitlines(keepends=True))
    own = load(text[:begin] + shown, "default")
    assert [each.then.decision for each in own.rules] == [Decision.QUORUM, Decision.DENY, Decision.RUN]
    assert own.tags == {"domain-controllers": ("ACME/dc-01", "ACME/dc-02")}


def test_the_policy_in_the_documentation_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    (shown,) = [each.partition("```")[0] for each in text.split("```toml\n")[1:]]
    assert [each.name for each in load(shown, "docs/policy.md").rules] == [
        "two admins for domain controllers",
        "the print service restarts unasked",
    ]


# -- lines ----------------------------------------------------------------------------------------------------


def test_lines_are_those_of_the_file() -> None:
    text = f'{CLASSES}\n[[rule]]\nname = """x"""\nwhy = """\nname = "no"\n"""\n'
    text += '[[ rule ]]\n"name" = "y"\nclass = [\n"x",\n]\n'
    lines = text.splitlines()
    assert line_of(text, ("classes", "sensitive")) == 3
    assert lines[line_of(text, ("rule", 0)) - 1] == "[[rule]]"
    assert lines[line_of(text, ("rule", 1)) - 1] == "[[ rule ]]"
    assert lines[line_of(text, ("rule", 1, "name")) - 1] == '"name" = "y"'
    assert lines[line_of(text, ("rule", 1, "class")) - 1] == "class = ["
    tricky = """[tags]\n"'''" = 'x'\na = "\\"'''" # '''\nb = '''\n[[rule]]\n'''\n[[rule]]\nname = 1"""
    assert (line_of(tricky, ("rule", 0, "name")), rule_lines(tricky)) == (8, [7])
    assert line_of("x = 1\nrule = 2", ("rule",)) == 2
    assert line_of("classes.observe = 1", ("classes", "observe")) == 1


# -- names, ids, writing ----------------------------------------------------------------------------------------


def test_names_become_ids_and_ids_names() -> None:
    roster = Workspace.staffed().roster
    (endpoint,) = roster.endpoints
    text = f'{CLASSES}[tags]\nt = ["acme/BOX"]\n{RULE}client = "acme"\nendpoint = "ACME/box"\nthen = "deny"\n'
    ids = bound(load(text, "p.toml"), roster, "p.toml")
    assert (ids.tags, ids.rules[0].clients, ids.rules[0].endpoints) == ({"t": (endpoint,)}, ("c-acme",), (endpoint,))
    assert bound(ids, roster, "p.toml") == ids
    assert "box" not in written(ids).lower()
    names = named(ids, roster)
    assert (names.tags, names.rules[0].clients) == ({"t": ("ACME/box",)}, ("ACME",))
    assert named(ids, Roster()) == ids
    for change, says in (('client = "Acne"', "p.toml:14: rule 'r': client: there is no client 'Acne'"),):
        with pytest.raises(PolicyError, match=says):
            bound(
                load(f'{CLASSES}[tags]\nt = ["ACME/box"]\n\n{RULE}{change}\nthen = "deny"\n', "p.toml"),
                roster,
                "p.toml",
            )
    with pytest.raises(PolicyError, match=r"p.toml:2: tags\.t: there is no endpoint 'ACME/bix' .*mean 'ACME/box'"):
        bound(load('[tags]\nt = ["ACME/bix"]', "p.toml"), roster, "p.toml")


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
needs = st.one_of(
    st.sampled_from([Need(Decision.QUORUM, ANYBODY), Need(Decision.DENY)]),
    st.builds(
        lambda members, roles: Need(
            Decision.QUORUM, Quorum(members=members, roles=tuple(r for r in Role if r in roles))
        ),
        st.integers(1, 10),
        st.sets(st.sampled_from(list(Role)), min_size=1),
    ),
)
few = st.lists(texts, max_size=3).map(tuple)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    pattern: dict[str, Any] = {"commands": (Pattern.of("rm"),), "match": ("rm x",), "no_match": ("ls", "df")}
    tags = draw(st.dictionaries(texts, st.lists(texts, min_size=1, max_size=3).map(tuple), max_size=3))
    names = draw(st.lists(texts, max_size=3, unique_by=str.casefold))
    rules = [
        Rule(
            name=name,
            why=draw(texts),
            then=draw(needs),
            classes=draw(st.lists(st.sampled_from(list(Class)), max_size=3).map(tuple)),
            clients=draw(few),
            endpoints=draw(few),
            tags=tuple(draw(st.lists(st.sampled_from(sorted(tags)), max_size=2))) if tags else (),
            roles=draw(st.lists(st.sampled_from(list(Role)), max_size=2).map(tuple)),
            **draw(st.sampled_from([dict[str, Any](), pattern])),
        )
        for name in names
    ]
    rules = [each for each in rules if not (each.commands and each.classes)]
    classes = draw(st.dictionaries(st.sampled_from(list(Class)), needs))
    reading, unrecorded = draw(st.sampled_from(Reading)), draw(st.sampled_from(Unrecorded))
    return Policy("label", classes, tags, tuple(rules), reading, unrecorded)


@settings(deadline=None, max_examples=60)
@given(policies())
def test_what_is_written_is_read_back(own: Policy) -> None:
    text = written(own)
    assert load(text, "f", "label") == own
    assert written(load(text, "f", "label")) == text
    for at, each in enumerate(own.rules):
        assert text.splitlines()[line_of(text, ("rule", at, "name")) - 1].startswith("name = ")
        assert load(text, "f").rules[at].line == line_of(text, ("rule", at)), each


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode(errors="replace")))
def test_reading_never_fails_otherwise(text: str) -> None:
    try:
        load(text, "f")
    except PolicyError:
        pass


def test_lists_end_somewhere() -> None:
    assert "at most 2000 texts" in refused("[tags]\nt = [" + '"x", ' * 2001 + "]")
    assert "rule: a policy has at most 500 rules" in refused(rules_of(501, "match = 'x'"))


def rules_of(count: int, lists: str) -> str:
    each = '[[rule]]\nname = "r{0}"\nwhy = "x"\nthen = "deny"\n{1}\n'
    return "".join(each.format(number, lists) for number in range(count))


def listed(text: str, times: int) -> str:
    return f"[{', '.join([repr(text)] * times)}]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            rules_of(3, f"match = 'rm x'\ncommand = {listed('rm x', 1500)}"),
            "p.toml:18: rule[3].command: a policy has at most 4000 commands; join some of them with",
        ),
        (
            rules_of(2, f"match = 'rm xy'\ncommand = {listed('rm x*y', 150)}"),
            "p.toml:12: rule[2].command: a policy has at most 200 commands with '*' inside a word; write '*'",
        ),
        (
            rules_of(2, f"command = 'rm'\nmatch = {listed('rm x', 1500)}"),
            "p.toml:12: rule[2].match: a policy has at most 2000 examples; keep those that tell what a rule is for.",
        ),
        (
            rules_of(
                1, f"command = {[f'rm *e*{n}' for n in range(200)]}\nmatch = 'rm {' '.join(map(str, range(600)))}'"
            ),
            "has too many words for an example",
        ),
    ],
)
def test_what_could_not_be_judged_by_in_time_is_refused_where_it_becomes_too_much(text: str, says: str) -> None:
    assert says in refused(text)


# -- what is in force -----------------------------------------------------------------------------------------


def publish(workspace: Workspace, text: str, version: int = 1, format_: str = FORMAT) -> None:
    workspace.say("root", "policy.published", PolicyPublished(version=version, format=format_, text=text))


def test_what_was_published_is_in_force() -> None:
    workspace = Workspace.staffed()
    assert in_force(workspace.roster) == builtin()
    publish(workspace, CLASSES)
    first = in_force(workspace.roster)
    assert (first.label, first.classes[Class.OBSERVE].decision) == ("published-1", Decision.QUORUM)
    publish(workspace, "", 2)
    assert in_force(workspace.roster) == Policy("published-2")


def test_an_older_one_than_was_known_denies_everything_and_is_told() -> None:
    workspace = Workspace.staffed()
    publish(workspace, CLASSES)
    assert in_force(workspace.roster, known=1).broken == ""
    assert "published-2" in in_force(workspace.roster, known=2).broken
    told = {known: list(probing.policy(in_force(workspace.roster, known))) for known in (1, 2)}
    assert [(each.state.value, each.text) for each in told[1]] == [("ok", "published-1, 0 rules")]
    assert [each.state.value for each in told[2]] == ["failed"]


@pytest.mark.parametrize(
    ("text", "format_"),
    [("[classes]\nobserve = 3", FORMAT), ("x", FORMAT), (CLASSES, "caisey.policy.9"), (f'{RULE}then = "run"', FORMAT)],
)
def test_what_this_version_cannot_read_denies_everything(text: str, format_: str) -> None:
    from caisey_core.policy import of_script

    workspace = Workspace.staffed()
    publish(workspace, text, format_=format_)
    own = in_force(workspace.roster)
    said = rule(own, of_script("ls", "/bin/sh"), Subject("c-acme", "e", Role.ADMIN))
    assert (said.verdict.decision, said.policy) == (Decision.DENY, "published-1")
    assert "this version" in said.verdict.why


def test_a_workspace_of_a_policy_that_is_not_known_denies_everything() -> None:
    roster = Workspace.staffed().roster
    roster.policy = "builtin-9"
    assert in_force(roster).broken
