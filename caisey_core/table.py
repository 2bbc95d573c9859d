"""The table of programs: which are known, the options that keep each what its row says, and how rows are read.

The rows are data (`policy/*.toml`). A row lists every option it knows; an option that is not listed, also an
abbreviation of a listed one, means that nobody has judged the command.

`options` is a list of words: `-l` and `--all` take no value, `-n=` and `--lines=` take one, attached or as the
next word; `--color?` may have one attached; `-f=<` takes the name of a file that is read.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, convert

from caisey_core.alone import alone
from caisey_core.kinds import Class
from caisey_core.words import Absent

FOLDER: Final = Path(__file__).parent / "policy"


@dataclass(frozen=True, slots=True)
class Glob:
    """A word that the shell replaces by the names that match it, which may be many."""

    text: str

    def may_be_option(self, dash: str) -> bool:
        """Whether a name that matches it may be an option; where options are words, one without other signs."""
        return self.text[:1] in "*?[" and (dash != "word" or not re.search(r"[^A-Za-z0-9*?\[\]-]", self.text))


Word = str | Glob | None
"""A word of a command: literal, a pattern, or known only when it runs."""


class _Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of the TOML files."""


class Raise(_Data, frozen=True):
    """What makes a command heavier than its row says: options, all or those with some values, or operands."""

    risk: Class
    why: str
    options: str = ""
    values: str = ""
    """A pattern found in the values that make it heavier; those that are not literal do, too."""
    operands: str = ""
    """A pattern found in the operands, joined by blanks, that make it heavier."""

    def by(self, value: Word) -> bool:
        """Whether an option with this value makes it heavier."""
        return not self.values or not isinstance(value, str) or bool(re.search(self.values, value))


class Wrapper(_Data, frozen=True):
    """A program that starts another one, found after its own options and `skip` operands of the given shape.

    `how`: `argv` (the words that follow), `joined` (they are joined and given to `sh`), `script` (the first is
    a script for the shell `shell`, given with `-c`). `feeds`: it appends words nobody knows (`xargs`).
    `alone`: options with which it starts nothing. `bare`: what it is with no program after it.
    """

    how: Literal["argv", "joined", "script"] = "argv"
    shell: str = "/bin/sh"
    skip: int = 0
    shape: str = ""
    feeds: bool = False
    alone: str = ""
    bare: Class = Class.UNJUDGED


class Pages(_Data, frozen=True):
    """With one of `options` (empty: with any or none) it gives what it shows to a pager where there is a terminal.

    It does not with an option of `unless`, which leaves the pager out or says what to show, nor with an operand, nor in
    a pipe. `instead`: what to type in its place.
    """

    instead: str
    options: str = ""
    unless: str = ""

    def by(self, use: Use) -> bool:
        """Whether a command that was read so does."""
        meant = not self.options or use.given(self.options)
        return meant and not use.given(self.unless) and not any(use.operands)


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", dict=True):
    """One program, or one of its subcommands (`words`: alternatives by `|`, empty for none at all)."""

    why: str
    names: str = ""
    words: str = ""
    risk: Class = Class.OBSERVE
    options: str = ""
    dash: Literal["letters", "word", "slash"] = "letters"
    """Whether `-la` is two options or one; `slash`: options are `/x`, as Windows has them (see `slashes`)."""
    numbers: bool = False
    """Whether `-50` is an option."""
    bundle: bool = False
    """Whether the first word is options even without a dash (`tar tf x`)."""
    values: dict[str, str] = {}
    """Option -> the pattern its value has to match."""
    raises: tuple[Raise, ...] = ()
    needs: str = ""
    """Options of which one has to be there."""
    pages: Pages | None = None
    """It asks where it would start a pager."""
    idle: str = ""
    """Options with which it only says what it would do, and is an observation."""
    operands: str = "none"
    """What each operand is, the last kind repeated: none text names files pattern sed awk url archive key."""
    shape: str = ""
    """A pattern that all operands, joined by blanks, have to match."""
    never: str = ""
    """What no word of it may match, because the program may read such a word in another way."""
    most: int | None = None
    """How many operands it may have."""
    instead: str = ""
    """Options that take the place of the first operand."""
    recursive: str = ""
    """Options that read whole directories; `always` where none is needed."""
    apart: str = ""
    """Groups of options with `|` between: options of two of them together are something else."""
    ordered: bool = False
    """Whether its options end at the first operand."""
    verbatim: bool = False
    """Whether no word is an option to the table: none can make it heavier, or lighter."""
    free: bool = False
    """No option of it changes, starts or sends anything, so a word that is not known cannot either."""
    sends: bool = False
    """It sends what it reads on standard input to another machine."""
    wrapper: Wrapper | None = None
    sub: tuple[Row, ...] = ()
    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()

    @cached_property
    def known(self) -> dict[str, str]:
        """Option -> how it takes a value: '' never, '=' always, '?' perhaps, '<' always, a file that is read."""
        return _read_options(" ".join([self.options, *(heavier.options for heavier in self.raises)]))

    @cached_property
    def signs(self) -> tuple[str, ...]:
        """What an option begins with: `+` too where the row lists such options (`lsof +D`)."""
        return ("-", "+") if any(name.startswith("+") for name in self.known) else ("-",)

    @cached_property
    def heavier(self) -> dict[str, Raise]:
        return {name: rise for rise in self.raises for name in _read_options(rise.options)}

    @cached_property
    def allowed(self) -> dict[str, re.Pattern[str]]:
        return {name: re.compile(shape) for names, shape in self.values.items() for name in names.split()}

    @cached_property
    def shaped(self) -> re.Pattern[str]:
        """The pattern of all operands, kept here: `re` forgets what it compiled when that is more than some hundred."""
        return re.compile(self.shape, re.ASCII)

    @cached_property
    def operand_kinds(self) -> tuple[str, ...]:
        return tuple(self.operands.split())

    @cached_property
    def alternatives(self) -> tuple[re.Pattern[str], ...]:
        """The subcommand's words, each as a pattern; `*` is any plain name."""
        return tuple(map(_spellings, self.words.split()))

    @cached_property
    def title(self) -> str:
        return " ".join(word.split("|")[0] for word in self.words.split())


class Paths(_Data, frozen=True):
    """Files whose contents are nobody's business by default. See `policy/paths.toml`."""

    secret: tuple[str, ...]
    public: tuple[str, ...]
    samples: tuple[str, ...]
    quiet: tuple[str, ...]
    named: tuple[str, ...]
    match: tuple[str, ...]
    no_match: tuple[str, ...]


class _File(_Data, frozen=True):
    program: tuple[Row, ...] = ()
    paths: Paths | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """All rows by the program's name, and the sensitive paths."""

    rows: dict[str, Row]
    paths: Paths


@cache
@alone
def table() -> Table:
    """Read the table that comes with this version, once."""
    rows: dict[str, Row] = {}
    paths: Paths | None = None
    for path in sorted(FOLDER.glob("*.toml")):
        paths = _add(path, rows) or paths
    if paths is None:
        raise ValueError(f"{FOLDER} names no sensitive paths")
    return Table(rows, paths)


@cache
@alone
def windows_programs(name: str) -> dict[str, Row]:
    """The rows of one file of Windows' own programs."""
    rows: dict[str, Row] = {}
    _add(FOLDER / "windows" / f"{name}.toml", rows)
    return rows


def _add(path: Path, rows: dict[str, Row]) -> Paths | None:
    try:
        file = convert(tomllib.loads(path.read_text("utf-8")), _File)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    for row in file.program:
        for name in row.names.split():
            if name in rows:
                raise ValueError(f"{path.name}: {name} has two rows")
            rows[name] = row
    return file.paths


def _spellings(word: str) -> re.Pattern[str]:
    return re.compile(re.escape(word).replace(r"\|", "|").replace(r"\*", "[A-Za-z0-9_][A-Za-z0-9@_.-]*"), re.ASCII)


def _read_options(text: str) -> dict[str, str]:
    known = {}
    for word in text.split():
        name = word.rstrip("=?<")
        known[name] = word[len(name) :][-1:]
    return known


# -- reading a command by its row ---------------------------------------------------------------------------


@dataclass(slots=True)
class Use:
    """A command read by its row. `odd`: why it cannot be; `loose`: a word that may turn out to be an option."""

    options: list[tuple[str, Word]] = field(default_factory=list)
    operands: list[Word] = field(default_factory=list)
    odd: str = ""
    loose: bool = False

    def given(self, names: str) -> bool:
        wanted = names.split()
        return any(name in wanted for name, _ in self.options)


def read(known: dict[str, str], row: Row, words: tuple[Word, ...], *, stop: bool = False) -> tuple[Use, int]:
    """Sort `words` (without the program's name) into options and operands; `stop` at the first operand.

    Returns the sorted words and how many of them were read.
    """
    use, at = Use(), 0
    if row.verbatim:
        return Use(operands=list(words), loose=None in words), len(words)
    words = _unbundled(known, row, words)
    while at < len(words):
        word = words[at]
        at += 1
        if row.never and isinstance(word, str) and re.fullmatch(row.never, word):
            use.odd = use.odd or f"the word {word}"
        if isinstance(word, Absent):
            continue
        if isinstance(word, Glob) and word.text.startswith("-"):
            use.loose, word = True, word.text
        if word is None or isinstance(word, Glob) or word == "-" or not word.startswith(row.signs):
            if stop:
                return use, at - 1
            use.loose = use.loose or word is None or (isinstance(word, Glob) and word.may_be_option(row.dash))
            use.operands.append(word)
            if row.ordered:
                use.operands += words[at:]
                return use, len(words)
        elif word == "--":
            if not stop:
                use.operands += words[at:]
                use.loose = use.loose or None in words[at:]
                at = len(words)
            return use, at
        else:
            at = _option(known, row, use, word, words, at)
    return use, at


def _unbundled(known: dict[str, str], row: Row, words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Write the dash in front of a first word of options; where only the last takes a value, it means the same."""
    first = words[0] if words else None
    if not row.bundle or not isinstance(first, str) or not re.fullmatch("[A-Za-z]+", first):
        return words
    plain = all(known.get(f"-{letter}") == "" for letter in first[:-1])
    return ("-" + first if plain else "--" + first, *words[1:])


def _option(known: dict[str, str], row: Row, use: Use, word: str, words: tuple[Word, ...], at: int) -> int:
    if row.numbers and word[0] == "-" and row.dash == "letters":
        word = "-" + word[1:].lstrip("0123456789")
        if word == "-":
            return at
    if row.dash == "word" or word.startswith("--"):
        name, sign, value = word.partition("=")
        if row.dash == "word" and word in known:
            name, sign = word, ""
        kind = known.get(name)
        if kind is None or (sign and not kind):
            use.odd = use.odd or f"the option {name}"
        elif sign or kind in {"", "?"}:
            use.options.append((name, value if sign else None if kind == "" else ""))
        else:
            return _value(row, use, name, words, at)
        return at
    for index, letter in enumerate(word[1:], 2):
        name, rest = word[0] + letter, word[index:]
        kind = known.get(name)
        if kind is None:
            use.odd = use.odd or f"the option {name}"
            return at
        if kind in {"=", "<"} and not rest:
            return _value(row, use, name, words, at)
        use.options.append((name, rest if kind else ""))
        if kind:
            return at
    return at


def _value(row: Row, use: Use, name: str, words: tuple[Word, ...], at: int) -> int:
    if at == len(words):
        use.odd = use.odd or f"the option {name} without its value"
        return at
    value = words[at]
    if isinstance(value, str) and value.startswith("--"):
        use.odd = use.odd or f"the option {name} with the value {value}"
    use.loose = use.loose or value is None or (isinstance(value, Glob) and value.may_be_option(row.dash))
    use.options.append((name, value))
    return at + 1
