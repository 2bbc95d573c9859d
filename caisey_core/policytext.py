"""A policy as text: where in a file something stands, what names are called in it, and the file written anew.

Owners write names of clients and endpoints; endpoints, who learn no names, read ids in their place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

from caisey_core.errors import UsageError
from caisey_core.kinds import Class
from caisey_core.roster import Roster
from caisey_core.ruling import ANYBODY, Need, Policy, Rule, Unrecorded


class PolicyError(UsageError):
    """A policy that cannot be used: where in which file, and why."""


def close_to(text: object, known: Iterable[str]) -> str:
    """The end of a sentence that says what may have been meant."""
    close = get_close_matches(str(text), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def ended(sentence: str) -> str:
    """A sentence with its end."""
    return sentence if sentence.endswith("?") else f"{sentence}."


# -- where in the file --------------------------------------------------------------------------------------


def syntax_of(error: str, text: str) -> tuple[str, int]:
    """What a parser says of a text, in words for who wrote it, and the line it says it of."""
    found = re.search(r" \(at line (\d+), column \d+\)", error)
    line = int(found[1]) if found else text.count("\n") + 1
    said = error[: found.start()] + error[found.end() :] if found else error.partition(" (at")[0]
    return next((words for begin, words in _SYNTAX.items() if said.startswith(begin)), said), line


_SYNTAX: Final = {
    "Cannot overwrite a value": "this key stands there twice",
    "Cannot declare": "this table stands there twice, or under a name that has a value",
    "Illegal character '\\n'": "the closing quote of a text is missing",
    "Unterminated string": "the closing quote of a text is missing",
    "Invalid value": "this is no value: a text stands in quotes, a list in [ ]",
    "Invalid statement": "this is neither a key with its value, nor a [table]",
    "Expected '=' after a key": "a key is followed by = and its value",
    "Unclosed array": "the closing ] of a list is missing",
}
"""What Python's parser says, by its beginning, and what it means to somebody who writes a policy."""


_STRING: Final = re.compile(r"\"\"\"|'''|\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")
"""What may hold signs that mean nothing: both kinds of text on one line, the beginning of longer ones, a comment."""


def _outside(text: str) -> Iterator[tuple[int, str]]:
    """The lines that do not begin inside a text of several lines, with their numbers."""
    inside = ""
    for number, line in enumerate(text.split("\n"), 1):
        at = 0
        if inside:
            at = line.find(inside) + len(inside)
            if at < len(inside):
                continue
            inside = ""
        else:
            yield number, line
        while found := _STRING.search(line, at):
            at = found.end()
            if found[0] in {'"""', "'''"}:
                end = line.find(found[0], at)
                if end < 0:
                    inside = found[0]
                    break
                at = end + 3


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line of the longest part of a path that stands in a line of its own; what is inside strings is no key."""
    head = [str(each) for each in path[:1]]
    number = next((each for each in path if isinstance(each, int)), -1)
    keys = [str(each) for each in path if isinstance(each, str)][1:]
    at, table, count = 1, "", -1
    for lineno, line in _outside(text):
        if header := _HEADER.match(line):
            table = header[1].strip("\"'")
            count += table == "rule"
            if [table] == head and (table != "rule" or number in {-1, count}):
                at = lineno
        elif key := re.match(r"\s*(?:\"([^\"]+)\"|'([^']+)'|([A-Za-z0-9_.-]+))\s*=", line):
            name = key[1] or key[2] or key[3]
            here = [table] == head and (table != "rule" or count == number)
            if (here and keys[:1] == [name]) or (not table and [name] in (head, [".".join([*head, *keys[:1]])])):
                return lineno
    return at


_HEADER: Final = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")


def rule_lines(text: str) -> list[int]:
    """The lines at which rules begin, in one reading."""
    headers = ((number, _HEADER.match(line)) for number, line in _outside(text))
    return [number for number, header in headers if header and header[1].strip("\"'") == "rule"]


# -- names and ids ------------------------------------------------------------------------------------------


def renamed(policy: Policy, client: Callable[[str], str | None], endpoint: Callable[[str], str | None]) -> Policy:
    """The policy with each client and endpoint called otherwise. Raises `KeyError` (where, key, name) for none."""

    def every(names: tuple[str, ...], call: Callable[[str], str | None], where: object, key: str) -> tuple[str, ...]:
        called = []
        for name in names:
            new = call(name)
            if new is None:
                raise KeyError(where, key, name)
            called.append(new)
        return tuple(called)

    tags = {tag: every(names, endpoint, tag, "tags") for tag, names in policy.tags.items()}
    rules = tuple(
        replace(
            each,
            clients=every(each.clients, client, each, "client"),
            endpoints=every(each.endpoints, endpoint, each, "endpoint"),
        )
        for each in policy.rules
    )
    return replace(policy, tags=tags, rules=rules)


def bound(policy: Policy, roster: Roster, file: str) -> Policy:
    """The policy with ids in the place of names, as endpoints read it. Raises `PolicyError` for a name of nobody."""
    ids = {each.name.casefold(): digest for digest, each in roster.endpoints.items()}

    def client(name: str) -> str | None:
        return roster.client_id(name) or (name if name in roster.clients else None)

    def endpoint(name: str) -> str | None:
        return ids.get(name.casefold()) or (name if name in roster.endpoints else None)

    try:
        return renamed(policy, client, endpoint)
    except KeyError as error:
        where, key, name = error.args
        if isinstance(where, Rule):
            at = line_of(policy.text, ("rule", policy.rules.index(where), key)) if policy.text else where.line
            line = f"{file}:{at}: rule {where.name!r}: {key}"
        else:
            line = f"{file}:{line_of(policy.text, (key, where))}: {key}.{where}"
        names = roster.clients.values() if key == "client" else [each.name for each in roster.endpoints.values()]
        what = "client" if key == "client" else "endpoint"
        raise PolicyError(
            ended(f"{line}: there is no {what} {name!r} in the workspace{close_to(name, names)}"),
            hint="caisey endpoints lists clients and endpoints by their names.",
        ) from None


def named(policy: Policy, roster: Roster) -> Policy:
    """The policy with names in the place of ids; an id that is nobody's here stays one."""

    def endpoint(id_: str) -> str:
        return next((each.name for digest, each in roster.endpoints.items() if digest == id_), id_)

    return renamed(policy, lambda id_: roster.clients.get(id_, id_), endpoint)


# -- writing ------------------------------------------------------------------------------------------------


def written(policy: Policy) -> str:
    """The policy as a file; what is read from it is the same policy."""
    lines = ["[classes]"]
    lines += [f"{risk.value} = {_class_text(policy.classes[risk])}" for risk in Class if risk in policy.classes]
    lines += ["", "[shells]", f"cmd = {_quoted(policy.cmd.value)}"]
    if policy.tags:
        lines += ["", "[tags]", *(f"{_key(tag)} = {_list(names)}" for tag, names in policy.tags.items())]
    if policy.unrecorded is not Unrecorded.STOP:
        lines += ["", "[journal]", f"unrecorded = {_quoted(policy.unrecorded.value)}"]
    for each in policy.rules:
        lines += ["", "[[rule]]", *(f"{key} = {value}" for key, value in _rule_rows(each))]
    return "\n".join(lines) + "\n"


def _class_text(need: Need) -> str:
    quorum = need.quorum
    if quorum is None or quorum == ANYBODY:
        return _quoted(need.decision.value)
    return f'{{ then = "quorum", members = {quorum.members}, roles = {_list(quorum.roles)} }}'


def _rule_rows(each: Rule) -> Iterable[tuple[str, str]]:
    yield "name", _quoted(each.name)
    yield "why", _quoted(each.why)
    lists = {
        "client": each.clients,
        "endpoint": each.endpoints,
        "tag": each.tags,
        "role": each.roles,
        "class": each.classes,
        "command": tuple(pattern.text for pattern in each.commands),
    }
    yield from ((key, _list(values)) for key, values in lists.items() if values)
    yield "then", _quoted(each.then.decision.value)
    if each.then.quorum is not None and each.then.quorum != ANYBODY:
        yield "members", str(each.then.quorum.members)
        yield "roles", _list(each.then.quorum.roles)
    if each.examples_in != "sh":
        yield "examples-in", _quoted(each.examples_in)
    yield from ((key, _list(values)) for key, values in (("match", each.match), ("no-match", each.no_match)) if values)


def _list(values: Sequence[str]) -> str:
    return _quoted(values[0]) if len(values) == 1 else f"[{', '.join(map(_quoted, values))}]"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")
