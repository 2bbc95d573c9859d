"""What the table says of one command of PowerShell, strictest first: its parameters, their values, what feeds it.

A row lists every parameter it knows, by its full name or an alias of it: a shorter spelling is not looked up, and asks.
Parameters are a list of words: `-force` takes no value, `-name=` takes text, `-path=files` a value of that kind.

Kinds: `text`, `number`, `names` (a path that is listed), `files` (one that is read), `props` (names or calculated
properties), `block`, `condition` (a block, or a property), `member` (a block, or a property that `values` lists),
`events` (a table that filters events), `table` (any table), `host`, `class`, `uri`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Final

from msgspec import Struct, convert

from caisey_core.alone import alone
from caisey_core.kinds import Class
from caisey_core.reading import plain_url
from caisey_core.rules import SECRET, Finding, Found, heaviest, unknown
from caisey_core.table import FOLDER, Raise
from caisey_core.windows.paths import Place, of_path, place
from caisey_core.windows.pieces import Block, Fields, Items, Listed, Passed, Text, Value, names_of
from caisey_core.windows.steps import LISTS, SIEVES, Part, Step, has_fields

FED: Final = Finding(Class.UNJUDGED, "pipeline", "What the pipeline feeds it may name anything.")


class Cmdlet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", dict=True):
    """One command of PowerShell, with its aliases."""

    names: str
    why: str
    risk: Class = Class.OBSERVE
    parameters: str = ""
    positional: str = ""
    """The kinds of its positional arguments, the last one repeated; empty for none."""
    slots: str = ""
    """The parameters that positional arguments stand for, where one that is given by name moves the others up."""
    most: int | None = None
    values: dict[str, str] = {}
    """Parameter, or `positional` -> the pattern each of its values has to match."""
    raises: tuple[Raise, ...] = ()
    needs: str = ""
    deep: str = ""
    """The parameter with which it reads whole directories."""
    free: bool = False
    """No value makes it change, start or send anything, so one that is not known cannot either."""
    loose: str = ""
    """Parameters of which no value does either, where that cannot be said of all."""
    plain: str = ""
    """The properties that are nobody's secret, of a command that is sensitive because of others."""
    feeds: str = "objects"
    """What may be piped into it: `any`, `nothing`, `objects` as Windows has them, `text` (a file object is opened)."""
    makes: bool = False
    """It makes objects of its own, whose properties may name anything to the commands after it."""
    verbatim: bool = False
    """Whether no parameter is looked at: none can make it heavier, or lighter."""
    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()

    @cached_property
    def known(self) -> dict[str, str]:
        """Parameter -> the kind of its value, empty for none."""
        words = f"{_COMMON} {self.parameters} {' '.join(rise.options for rise in self.raises)}".split()
        return {name: (kind or "text") if sign else "" for name, sign, kind in (word.partition("=") for word in words)}

    @cached_property
    def heavier(self) -> dict[str, Raise]:
        return {word.partition("=")[0]: rise for rise in self.raises for word in rise.options.split()}

    @cached_property
    def allowed(self) -> dict[str, re.Pattern[str]]:
        pairs = [(name, shape) for names, shape in {**_COMMON_VALUES, **self.values}.items() for name in names.split()]
        return {name: re.compile(shape, re.IGNORECASE | re.ASCII | re.DOTALL) for name, shape in pairs}


_COMMON: Final = "-erroraction= -ea= -warningaction= -wa= -verbose -vb -informationaction="
_COMMON_VALUES: Final = {
    "-erroraction -ea -warningaction -wa -informationaction": r"(?:silentlycontinue|ignore|continue|stop|[0-4])"
}


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    cmdlet: tuple[Cmdlet, ...]


@cache
@alone
def cmdlets() -> dict[str, Cmdlet]:
    """The rows that come with this version, by each name in lower case."""
    rows: dict[str, Cmdlet] = {}
    for name in ("powershell.toml", "servers.toml", "changes.toml"):
        file = convert(tomllib.loads((FOLDER / "windows" / name).read_text("utf-8")), _File)
        for row in file.cmdlet:
            for alias in row.names.lower().split():
                if alias in rows:
                    raise ValueError(f"{name}: {alias} has two rows")
                rows[alias] = row
    return rows


@cache
def spellings(word: str) -> tuple[str, ...]:
    """The name and the aliases of the one command that a word names, in lower case; none for what is no command.

    A row has many commands: what is said of one of them is not said of the others.
    """
    row = cmdlets().get(word.lower())
    if row is None:
        return ()
    title = _title(row, word).lower()
    return tuple(name for name in row.names.lower().split() if _title(row, name).lower() == title)


@dataclass(slots=True)
class _Use:
    options: list[tuple[str, str, Value]] = field(default_factory=list)
    operands: list[tuple[str, Value]] = field(default_factory=list)
    odd: str = ""


def by_cmdlet(row: Cmdlet, step: Step, here: tuple[str, ...], *, narrowed: bool = False) -> Found:
    """Judge a command by its row. `here`: directories that relative paths may start from; empty: not known.

    `narrowed`: of what it shows only the properties go further that `plain` lists.
    """
    if row.verbatim:
        return Found(step.words, Finding(row.risk, _title(row, step.name), row.why))
    use = _bound(row, step.parts)
    name = _title(row, step.name)
    risk = Class.OBSERVE if narrowed else row.risk
    findings = [Finding(risk, name, row.why), *_of_use(row, name, use, here)]
    if step.before:
        findings += _of_input(row, step, use)
    return Found(step.words, heaviest(findings))


def narrows(step: Step) -> Step | None:
    """The command of whose objects this one takes nothing but properties that are nobody's secret."""
    fed = step.before[-1] if step.before and not step.again else None
    row = cmdlets().get(fed.name.lower()) if fed else None
    if row is None or not row.plain or step.name.lower() not in _PICKS:
        return None
    values = [part.value for part in step.parts if not part.name]
    named = {part.name.lower() for part in step.parts if part.name}
    flat = [one for value in values for one in (value.values if isinstance(value, Items) else (value,))]
    plain = {one.text.lower() if isinstance(one, Text) else "" for one in flat} <= set(row.plain.split())
    return fed if flat and plain and named <= {"property", "autosize", "auto", "wrap", "expandproperty"} else None


_PICKS: Final = names_of("select-object select format-table ft format-list fl")


def _title(row: Cmdlet, name: str) -> str:
    """The command's full name, which stands before its aliases."""
    full = ""
    for each in row.names.split():
        full = each if "-" in each else full or each
        if each.lower() == name.lower():
            break
    return full


def _bound(row: Cmdlet, parts: tuple[Part, ...]) -> _Use:
    use, at, kinds = _Use(), 0, row.positional.split()
    while at < len(parts):
        part = parts[at]
        at += 1
        if not part.name:
            kind = _kind(row, kinds, parts, len(use.operands))
            use.operands.append((kind, part.value))
            continue
        name = "-" + part.name.lower()
        known = row.known.get(name)
        if known is None:
            use.odd = use.odd or f"the parameter -{part.name}"
        elif not known:
            use.options.append((name, "", None))
            if part.raw.endswith(":") or (part.value is not None and not _is_switch(part.value)):
                use.odd = use.odd or f"this value of -{part.name}"
        elif not part.raw.startswith("-") or ":" in part.raw:
            use.options.append((name, known, part.value))
        elif at < len(parts) and not parts[at].name:
            use.options.append((name, known, parts[at].value))
            at += 1
        else:
            use.odd = use.odd or f"-{part.name} without its value"
    return use


def _kind(row: Cmdlet, kinds: list[str], parts: tuple[Part, ...], place: int) -> str:
    """The kind of the positional argument at this place."""
    if row.slots:
        named = {"-" + part.name.lower() for part in parts if part.name}
        kinds = [kind for kind, slot in zip(kinds, row.slots.split(), strict=True) if slot not in named] or kinds[-1:]
    return kinds[min(place, len(kinds) - 1)] if kinds else "none"


def _is_switch(value: Value) -> bool:
    return isinstance(value, Text) and value.text in {"$true", "$false"}


def _of_use(row: Cmdlet, name: str, use: _Use, here: tuple[str, ...]) -> Iterator[Finding]:
    if use.odd:
        yield unknown(name, "unknown-parameter", use.odd)
    given = {option for option, _, _ in use.options}
    if row.needs and not given & set(row.needs.split()):
        yield Finding(Class.UNJUDGED, "missing-parameter", f"Nobody has judged {name} without {row.needs}.")
    if (use.operands and not row.positional) or (row.most is not None and len(use.operands) > row.most):
        yield unknown(name, "arguments", "these arguments")
    deep = bool(row.deep) and bool(given & set(row.deep.split()))
    for option, kind, value in use.options:
        if rise := row.heavier.get(option):
            yield Finding(rise.risk, f"{name} {option}", rise.why)
        if kind:
            yield from _of_value(_Place(row, name, option, deep, here), kind, value)
    for kind, value in use.operands:
        yield from _of_value(_Place(row, name, "positional", deep, here), kind, value)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands. `deep`: the command reads whole directories."""

    row: Cmdlet
    name: str
    option: str
    deep: bool
    here: tuple[str, ...]

    @property
    def any_value(self) -> bool:
        """Whether no value makes a difference."""
        free = self.row.free or self.option in self.row.loose.split()
        return free and self.option not in self.row.allowed

    @property
    def what(self) -> Finding:
        shown = "this argument" if self.option == "positional" else f"this value of {self.option}"
        return unknown(self.name, "unknown-value", shown)


def _of_value(at: _Place, kind: str, value: Value) -> Iterator[Finding]:
    if isinstance(value, Items):
        for one in value.values:
            yield from _of_value(at, kind, one)
    elif isinstance(value, Block):
        if kind not in _BLOCKS:
            yield at.what
    elif isinstance(value, Listed) and kind in {"names", "files"} and at.option not in at.row.allowed:
        for where in value.paths:
            if finding := of_path(_folder(where), at.here, deep=True, contents=kind == "files"):
                yield finding
    elif isinstance(value, Fields) and kind in _TABLES:
        yield from _of_fields(kind, value, at.what)
    elif value is None or isinstance(value, Listed | Passed | Fields):
        if kind == "files":
            yield SECRET
        elif kind in _LITERAL or not at.any_value:
            yield unknown(at.name, "unknown-word", "a value that is known only when it runs")
    else:
        shape = at.row.allowed.get(at.option)
        if (shape and not shape.fullmatch(value.text)) or (value.bare and re.match(r"-(?!\d)", value.text)):
            yield at.what
        yield from _of_text(at, kind, value.text)


_BLOCKS: Final = frozenset({"block", "props", "condition", "member"})
_TABLES: Final = frozenset({"props", "events", "table"})
_LITERAL: Final = frozenset({"host", "class", "uri", "names", "block", "member", "events", "table"})
"""Kinds whose value has to be known."""
_SHAPES: Final = {
    "host": re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]+", re.IGNORECASE | re.ASCII),
    "number": re.compile(r"-?\d+(?:\.\d+)?(?:\.\.-?\d+)?(?:[kmgt]b)?", re.IGNORECASE | re.ASCII),
}


def _of_text(at: _Place, kind: str, text: str) -> Iterator[Finding]:
    if kind in {"names", "files"}:
        if finding := of_path(text, at.here, deep=at.deep, contents=kind == "files"):
            yield finding
    elif kind in _SHAPES:
        if not _SHAPES[kind].fullmatch(text):
            yield at.what
    elif kind == "class":
        if not _CLASS.fullmatch(text):
            yield at.what
    elif (kind == "uri" and (not plain_url(text) or "C:/" in text)) or kind in {"none", "block"}:
        yield at.what


_CLASS: Final = re.compile(
    r"(?!Win32_Product\Z|Win32_Environment\Z|Win32_.*(?:Secret|Password|Credential))(?:Win32|CIM|MSFT|MSAcpi|Msft|MSStorageDriver|MSSerial|MSPower"
    r"|Battery|SoftwareLicensingProduct\Z|AntiVirus|AntiSpyware|Firewall|Wmi|BcdStore|Perf)[A-Za-z0-9_]*|__Namespace",
    re.IGNORECASE | re.ASCII,
)
_CALCULATED: Final = names_of(
    "n name l label e expression f formatstring a align alignment w width ascending descending"
)
_EVENTS: Final = names_of("logname providername keywords id level starttime endtime userid data")


_SOURCES: Final = names_of("logname providername")


def _logs_no_scripts(value: Value) -> bool:
    """Whether a log or a provider is known, and none of those that keep what was run, which may hold secrets."""
    if isinstance(value, Items):
        return all(map(_logs_no_scripts, value.values))
    return isinstance(value, Text) and "powershell" not in value.text.lower()


def _of_fields(kind: str, value: Fields, what: Finding) -> Iterator[Finding]:
    """A table of calculated properties, or one that filters events."""
    known = {"props": _CALCULATED, "events": _EVENTS}.get(kind, frozenset[str]())
    for key, one in value.entries:
        if key not in known and kind != "table":
            yield what
        if not isinstance(one, Text | Items | Block | Passed | None) or (isinstance(one, Block) and kind != "props"):
            yield what
        if kind == "events" and key in _SOURCES and not _logs_no_scripts(one):
            yield what
    if not known and kind != "table":
        yield what


# -- what is piped into it ---------------------------------------------------------------------------------------

_TEXT: Final = names_of("get-gporeport get-content gc cat type out-string oss write-output echo select-string sls")


def _of_input(row: Cmdlet, step: Step, use: _Use) -> Iterator[Finding]:
    if row.feeds == "any":
        return
    if row.feeds == "text":
        named = any(kind == "files" for _, kind, _ in use.options) or any(kind == "files" for kind, _ in use.operands)
        if not named and not _is_text(step.before):
            yield SECRET
    elif row.feeds == "nothing" or any(one is None or _makes(one) for one in step.before):
        yield FED


def _is_text(before: tuple[Step | None, ...]) -> bool:
    """Whether what comes out of a pipeline is text, or files that may be read as a whole."""
    kept = [one for one in before if one is None or one.name.lower() not in SIEVES]
    if (
        not kept
        or any(one is None for one in before)
        or any(has_fields(p.value) for one in before if one for p in one.parts)
    ):
        return False
    last = kept[-1]
    if last is None:
        return False
    name = last.name.lower()
    return name in _TEXT or name not in cmdlets() or (name in LISTS and len(kept) == 1 and _lists_quietly(last))


def _lists_quietly(step: Step) -> bool:
    """Whether what it lists may be read as a whole."""
    paths = [part.value for part in step.parts if not part.name or part.name.lower() == "path"]
    texts = [value.text for value in paths if isinstance(value, Text) and re.search(r"[\\/]", value.text)]
    return bool(texts) and all(place(_folder(text), deep=True) is Place.PLAIN for text in texts)


def _folder(path: str) -> str:
    """The directory of a path whose last name is a pattern, or the path."""
    return re.sub(r"[\\/][^\\/]*[*?][^\\/]*\Z", "", path)


def _makes(step: Step) -> bool:
    row = cmdlets().get(step.name.lower())
    if row is None or row.makes:
        return True
    return any(has_fields(part.value) or part.name.lower().startswith("exp") for part in step.parts)
