"""The policy file: TOML that an owner writes, read into a policy or refused with file, line and key.

What is published is the same text without comments and with ids in the place of names (`policytext`), so that
endpoints read it with the very same code and learn no client's name. A rule's examples are judged whenever a policy
is loaded: a pattern that does not do what its author expects is found before it counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from caisey_core.kinds import Class, Decision, PolicyPublished, Quorum, Role
from caisey_core.matching import TooManyError
from caisey_core.patterns import Pattern
from caisey_core.policy import POLICY, of_script
from caisey_core.policytext import PolicyError, close_to, ended, line_of, rule_lines, syntax_of
from caisey_core.roster import Roster
from caisey_core.ruling import ANYBODY, Action, Need, Policy, Reading, Rule, Unrecorded, read_by

FORMAT: Final = "caisey.policy.1"
"""What a published policy's text is written in."""
TEXT_LIMIT: Final = 200 * 1024
RULES_LIMIT: Final = 500
LIST_LIMIT: Final = 2000
PATTERNS_LIMIT: Final = 4000
STARS_LIMIT: Final = 200
EXAMPLES_LIMIT: Final = 2000
DEFAULT: Final = Path(__file__).with_name("default-policy.toml")

LEAST: Final = {
    Class.OBSERVE: Decision.RUN,
    Class.SENSITIVE: Decision.RUN,
    Class.REVERSIBLE: Decision.RUN,
    Class.PERSISTENT: Decision.CONFIRM,
    Class.DESTRUCTIVE: Decision.QUORUM,
    Class.UNJUDGED: Decision.QUORUM,
}
"""How light a class may be made as such."""
LEAST_BY_COMMAND: Final = LEAST | {
    Class.PERSISTENT: Decision.RUN,
    Class.DESTRUCTIVE: Decision.CONFIRM,
    Class.UNJUDGED: Decision.CONFIRM,
}
"""How light a rule may make what it names word by word."""
_SHELLS: Final = {"sh": "/bin/sh", "bash": "/bin/bash", "powershell": "powershell", "cmd": "cmd"}
_ORDER: Final = tuple(Decision)
_TOP: Final = ("classes", "shells", "tags", "journal", "rule")
_KEYS: Final = (
    *("name", "why", "client", "endpoint", "tag", "role", "class", "command"),
    *("then", "members", "roles", "examples-in", "match", "no-match"),
)


class _Wrong(Exception):
    """Something at a place in the file: keys and positions from its top."""

    def __init__(self, what: str, *path: str | int) -> None:
        super().__init__(what)
        self.path = path


def load(text: str, file: str, label: str = "") -> Policy:
    """A policy from its text. Raises `PolicyError`, which names file, line and key, also for an example that fails."""
    if len(text.encode(errors="replace")) > TEXT_LIMIT:
        raise _too_long(file)
    try:
        raw = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        what, line = syntax_of(str(error), text)
        raise PolicyError(f"{file}:{line}: {what}.", hint=_HINT) from None
    try:
        policy = replace(_read(raw, label, rule_lines(text)), text=text)
        for at, each in enumerate(policy.rules):
            _proven(policy, each, at)
    except _Wrong as wrong:
        key = "".join(f".{each}" if isinstance(each, str) else f"[{each + 1}]" for each in wrong.path).lstrip(".")
        raise PolicyError(f"{file}:{line_of(text, wrong.path)}: {key}: {ended(str(wrong))}", hint=_HINT) from None
    return policy


def _too_long(file: str) -> PolicyError:
    instead = "Name several commands, clients or endpoints in one rule."
    return PolicyError(f"{file}: a policy has at most {TEXT_LIMIT // 1024} KiB.", hint=instead)


_HINT: Final = "'caisey policy show --default' prints a policy with everything explained."


def read_file(path: Path, label: str = "") -> Policy:
    """A policy from a file. Raises `PolicyError`."""
    raw = b""
    try:
        with path.open("rb") as file:
            raw = file.read(TEXT_LIMIT + 4)
        text = raw.decode("utf-8-sig")  # some editors begin a file with a mark
    except OSError as error:
        raise PolicyError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Type: caisey policy show --default > policy.toml",
        ) from None
    except UnicodeDecodeError as error:
        if len(raw) > TEXT_LIMIT:
            raise _too_long(str(path)) from None
        other = " It looks like UTF-16." if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else ""
        line = raw[: error.start].count(b"\n") + 1
        raise PolicyError(
            f"{path}:{line}: this is not text in UTF-8: {error.reason} at byte {error.start}.{other}",
            hint="Save it as UTF-8 in your editor.",
        ) from None
    return load(text, str(path), label)


def builtin() -> Policy:
    """The policy that counts where none was published."""
    return read_file(DEFAULT, POLICY)


def in_force(roster: Roster, known: int = 0) -> Policy:
    """The policy a roster puts in force; one that cannot be read denies everything. Never raises.

    `known` is the highest version that was ever known here: where the roster has no such one, it denies everything too.
    """
    published = roster.published
    if roster.policy_version < known:
        why = f"The relay shows no policy as new as published-{known}, which this endpoint has known."
        return Policy(roster.policy, broken=why)
    if published is not None:
        return _published(published.format, published.text, roster.policy)
    return _of_founding(roster.policy)


def once_in_force(label: str, published: PolicyPublished | None) -> Policy:
    """A policy that a roster put in force in some version of it (`Roster.policy_at`). Never raises."""
    return _published(published.format, published.text, label) if published else _of_founding(label)


@lru_cache(maxsize=8)
def _published(format_: str, text: str, label: str) -> Policy:
    if format_ != FORMAT:
        return Policy(label, broken="The policy in force is written in a way that this version does not know.")
    try:
        return load(text, label, label)
    except PolicyError as error:
        return Policy(label, broken=f"The policy in force cannot be used by this version: {error}")


@lru_cache(maxsize=8)
def _of_founding(label: str) -> Policy:
    if label != POLICY:
        return Policy(label, broken=f"The workspace was founded with the policy {label!r}, which this version lacks.")
    return builtin()


# -- reading ------------------------------------------------------------------------------------------------


def _read(raw: Mapping[str, Any], label: str, lines: list[int]) -> Policy:
    for key in raw:
        if key not in _TOP:
            known = "classes, shells, tags, journal and rule"
            raise _Wrong(f"there is no such key; there are {known}{close_to(key, _TOP)}", key)
    classes = {_class(key, "classes", key): _class_need(key, value) for key, value in _table(raw, "classes").items()}
    tags = {key: _texts(value, "tags", key) for key, value in _table(raw, "tags").items()}
    rules = raw.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise _Wrong("rules are written as [[rule]]", "rule")
    if len(rules) > RULES_LIMIT:
        raise _Wrong(f"a policy has at most {RULES_LIMIT} rules", "rule")
    found = tuple(
        replace(_rule(each, at, tags), line=lines[at] if at < len(lines) else 0) for at, each in enumerate(rules)
    )
    _not_too_many(found)
    names: dict[str, int] = {}
    for at, each in enumerate(found):
        if each.name.casefold() in names:
            raise _Wrong(f"there is a rule {each.name!r} already", "rule", at, "name")
        names[each.name.casefold()] = at
    cmd = _choice(raw, "shells", "cmd", Reading, Reading.WHOLE)
    unrecorded = _choice(raw, "journal", "unrecorded", Unrecorded, Unrecorded.STOP)
    return Policy(label, classes, tags, found, cmd, unrecorded)


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(raw: Mapping[str, Any], table: str, key: str, words: type[_Choice], strictest: _Choice) -> _Choice:
    """The word of a table's only key; where nothing is said, the strictest."""
    said = _table(raw, table)
    for each in said:
        if each != key:
            raise _Wrong(f"there is no such key; there is {key}{close_to(each, [key])}", table, each)
    value, known = said.get(key, strictest), [each.value for each in words]
    if value not in known:
        raise _Wrong(f"there is no {value!r}; there are {' and '.join(known)}{close_to(value, known)}", table, key)
    return words(value)


def _not_too_many(rules: Sequence[Rule]) -> None:
    """Refuses more than can be judged by in time; what is too many is said of the rule that makes it so."""
    patterns = stars = examples = 0
    for at, each in enumerate(rules):
        patterns += len(each.commands)
        stars += sum(pattern.starred for pattern in each.commands)
        examples += len(each.match) + len(each.no_match)
        for count, limit, key, what, instead in (
            (patterns, PATTERNS_LIMIT, "command", "commands", "join some of them with '...', or name their class"),
            (stars, STARS_LIMIT, "command", "commands with '*' inside a word", "write '*' for a whole word, or '...'"),
            (examples, EXAMPLES_LIMIT, "match", "examples", "keep those that tell what a rule is for"),
        ):
            if count > limit:
                raise _Wrong(f"a policy has at most {limit} {what}; {instead}", "rule", at, key)


def _table(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise _Wrong(f"this is a table, written as [{key}]", key)
    return value


def _class(text: str, *path: str | int) -> Class:
    try:
        return Class(text)
    except ValueError:
        known = [each.value for each in Class]
        raise _Wrong(
            f"there is no class {text!r}; there are {', '.join(known)}{close_to(text, known)}", *path
        ) from None


def _class_need(key: str, value: object) -> Need:
    table = value if isinstance(value, dict) else {"then": value}
    for name in table:
        if name not in {"then", "members", "roles"}:
            raise _Wrong("there is no such key; there are then, members and roles", "classes", key, name)
    need = _need(table, "classes", key)
    risk = Class(key)
    if _ORDER.index(need.decision) < _ORDER.index(LEAST[risk]):
        raise _Wrong(f"{_too_light(risk, need.decision, LEAST[risk])}; {_INSTEAD}", "classes", key)
    return need


_INSTEAD: Final = "a rule that names the class and one command can be lighter"


def _too_light(risk: Class, wanted: Decision, least: Decision) -> str:
    return f"what is {risk} cannot be {wanted.value!r}: the lightest is {least.value!r}"


def _need(table: Mapping[str, Any], *path: str | int) -> Need:
    try:
        decision = Decision(table["then"])
    except KeyError:
        raise _Wrong("it does not say what then: run, confirm, quorum or deny", *path) from None
    except (ValueError, TypeError):
        known = [each.value for each in Decision]
        said = f"there is no {table['then']!r}; there are {', '.join(known)}{close_to(table['then'], known)}"
        raise _Wrong(said, *path, "then") from None
    if decision is not Decision.QUORUM:
        for key in ("members", "roles"):
            if key in table:
                raise _Wrong('it goes with then = "quorum" only', *path, key)
        return Need(decision)
    members = table.get("members", 1)
    if type(members) is not int or not 1 <= members <= 10:
        raise _Wrong("it is a number from 1 to 10", *path, "members")
    roles = tuple(
        _role(each, *path, "roles") for each in _texts(table.get("roles", list(ANYBODY.roles)), *path, "roles")
    )
    return Need(decision, Quorum(members=members, roles=tuple(each for each in Role if each in roles)))


def _role(text: str, *path: str | int) -> Role:
    try:
        return Role(text)
    except ValueError:
        known = [each.value for each in Role]
        raise _Wrong(f"there is no role {text!r}; there are {', '.join(known)}{close_to(text, known)}", *path) from None


def _rule(raw: Mapping[str, Any], at: int, tags: Mapping[str, object]) -> Rule:
    path = ("rule", at)
    for key in raw:
        if key not in _KEYS:
            raise _Wrong(f"there is no such key in a rule{close_to(key, _KEYS) or f'; there are {_LIST}'}", *path, key)

    def texts(key: str) -> tuple[str, ...]:
        return _texts(raw[key], *path, key) if key in raw else ()

    for tag in texts("tag"):
        if tag not in tags:
            raise _Wrong(f"there is no tag {tag!r} in [tags]{close_to(tag, tags)}", *path, "tag")
    shell = raw.get("examples-in", "sh")
    if shell not in _SHELLS:
        raise _Wrong(f"there is no shell {shell!r}; there are {', '.join(_SHELLS)}", *path, "examples-in")
    rule = Rule(
        name=_text(raw, "name", at),
        why=_text(raw, "why", at),
        then=_need(raw, *path),
        classes=tuple(_class(each, *path, "class") for each in texts("class")),
        commands=tuple(_pattern(each, *path, "command") for each in texts("command")),
        clients=texts("client"),
        endpoints=texts("endpoint"),
        tags=texts("tag"),
        roles=tuple(_role(each, *path, "role") for each in texts("role")),
        match=texts("match"),
        no_match=texts("no-match"),
        examples_in=str(shell),
    )
    _sane(rule, at)
    return rule


_LIST: Final = ", ".join(_KEYS)


def _sane(rule: Rule, at: int) -> None:
    """Refuses what would do nothing, or more than its author can mean."""
    path, decision = ("rule", at), rule.then.decision
    if decision is Decision.RUN and not rule.classes:
        raise _Wrong(
            "a rule that lets something run has to name its class; without one it changes nothing", *path, "then"
        )
    least = LEAST_BY_COMMAND if rule.commands else LEAST
    for risk in rule.classes:
        if _ORDER.index(decision) < _ORDER.index(least[risk]):
            instead = "" if rule.commands else f"; {_INSTEAD}"
            raise _Wrong(f"{_too_light(risk, decision, least[risk])}{instead}", *path, "then")
        if _ORDER.index(decision) < _ORDER.index(LEAST[risk]) and any(each.open for each in rule.commands):
            raise _Wrong(f"'...' could be anything, and {risk} is too much for that; write the words", *path, "command")
    if rule.commands and not rule.match:
        raise _Wrong("a rule for commands shows at least one that it is meant for", *path, "match")
    if (rule.match or rule.no_match) and not (rule.commands or rule.classes):
        raise _Wrong("examples are of commands, and this rule is for all of them", *path, "match")


def _text(raw: Mapping[str, Any], key: str, at: int) -> str:
    if key not in raw:
        raise _Wrong(f"the rule has no {key}", "rule", at)
    value = raw[key]
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 200:
        raise _Wrong("it is a line of text, of at most 200 characters", "rule", at, key)
    return value


def _texts(value: object, *path: str | int) -> tuple[str, ...]:
    """One text or a list of them."""
    texts = [value] if isinstance(value, str) else value
    if texts == []:
        raise _Wrong("the list is empty; name something, or leave it out", *path)
    if not isinstance(texts, list):
        raise _Wrong("it is a text or a list of texts", *path)
    if len(texts) > LIST_LIMIT:
        raise _Wrong(f"a list holds at most {LIST_LIMIT} texts", *path)
    if any(not isinstance(each, str) or not each.strip() or len(each) > 4000 for each in texts):
        raise _Wrong("it is a text or a list of texts, none of them empty", *path)
    return tuple(texts)


def _pattern(text: str, *path: str | int) -> Pattern:
    try:
        return Pattern.of(text)
    except ValueError as error:
        raise _Wrong(str(error), *path) from None


def _proven(policy: Policy, rule: Rule, at: int) -> None:
    """Holds a rule of a policy against its examples."""
    decision = rule.then.decision
    lighter = bool(rule.classes) and decision in {Decision.RUN, Decision.CONFIRM}
    for key, examples in (("match", rule.match), ("no-match", rule.no_match)):
        # What may fit counts for whatever is stricter; what is meant to be lighter has to fit for certain.
        exact = decision is Decision.RUN or (lighter and key == "match")
        for example in examples:
            judged = read_by(policy, of_script(example, _SHELLS[rule.examples_in]))
            try:
                perhaps, certain = rule.fits(Action(judged))
            except TooManyError:
                raise _Wrong(f"{example[:40]!r}... has too many words for an example", "rule", at, key) from None
            counts = bool(certain if exact else perhaps)
            if counts != (key == "match"):
                seen = f"{example!r} is {judged.verdict.risk} ({judged.verdict.rule})"
                does = "counts" if counts else "does not count"
                raise _Wrong(f"{seen}, and the rule {does} for it", "rule", at, key)
