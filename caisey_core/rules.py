"""What the table says of one command: its class, the rule that decided, and why, strictest first.

A row names a class; its options, their values and its operands can only make that heavier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from caisey_core.absent import on_purpose
from caisey_core.kinds import Class
from caisey_core.reading import awk_only_prints, plain_url, sed_only_prints, sensitive
from caisey_core.slashes import read_slashes
from caisey_core.table import Glob, Row, Use, Word
from caisey_core.table import read as read_dashes
from caisey_core.words import Absent, Like

ORDER: Final = tuple(Class)


class Finding(NamedTuple):
    """What one rule says about one command."""

    risk: Class
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """A command that was found, and what has to be known of it beside the others."""

    words: tuple[Word, ...]
    finding: Finding
    opens: bool = False
    """It reads a file that is named."""
    sends: bool = False
    """It sends its standard input to another machine."""
    amid: bool = False
    """Its words are not all there is to it: files are redirected, or variables set for it."""
    pager: Finding | None = None
    """What it is besides where its output does not go on in a pipe."""
    split: bool = False
    """It comes out of a line for cmd in which a sign means something to cmd."""

    @property
    def settled(self) -> Found:
        """With what it is besides, because nothing more is known of where its output goes."""
        return replace(self, finding=heaviest([self.finding, self.pager]), pager=None) if self.pager else self


def heaviest(findings: Sequence[Finding]) -> Finding:
    """The first of the heaviest findings."""
    return max(findings, key=lambda finding: ORDER.index(finding.risk))


def shown_word(word: Word) -> str | None:
    """A word as a verdict shows it: None where it is not literal."""
    if not isinstance(word, str) or isinstance(word, Like):
        return None
    return word if word.isascii() else word.encode(errors="replace").decode()


SECRET: Final = Finding(Class.SENSITIVE, "sensitive-path", "What it reads may hold secrets.")


def unknown(name: str, rule: str, what: str) -> Finding:
    """The finding that this use of a program is in no row."""
    return Finding(Class.UNJUDGED, rule, f"Nobody has judged {name} with {what}.")


Opened = Callable[[str, Word, str, tuple[str, ...], bool], Finding | None]
"""What an operand makes of a command: its kind, itself, the program's name, where relative paths may start, and whether
whole directories are read."""


def by_row(
    row: Row,
    name: str,
    words: tuple[Word, ...],
    rest: tuple[Word, ...],
    here: tuple[str, ...],
    opened: Opened | None = None,
) -> Found:
    """Judge the command `words`, of which `rest` follows the program's name, by its row or a subcommand's."""
    parts: tuple[Row, ...] = (row,)
    read = read_slashes if row.dash == "slash" else read_dashes
    if row.sub:
        leading, at = read(row.known, row, rest, stop=True)
        chosen, used = _subcommand(row, rest[at:])
        if chosen is None:
            rule = "unknown-option" if leading.odd else "unknown-subcommand"
            return Found(words, unknown(name, rule, leading.odd or "this subcommand"))
        use, _ = read(row.known | chosen.known, row, rest[at + used :])
        use = _together(leading, use)
        parts, name = (row, chosen), f"{name} {chosen.title}".strip()
    else:
        use, _ = read(row.known, row, rest)
    finding, opens = by_use(parts, name, use, here, opened)
    if finding.risk is Class.UNJUDGED and (why := on_purpose(name)):
        finding = Finding(finding.risk, finding.rule, why)
    pages = parts[-1].pages
    pager = _pager(name, pages.instead) if pages and pages.by(use) else None
    return Found(words, finding, opens, any(part.sends for part in parts), pager=pager)


def _pager(name: str, instead: str) -> Finding:
    why = f"On a terminal {name} starts a pager here, a known way to a shell. Type {instead}, or pipe it into cat."
    return Finding(Class.UNJUDGED, "pager", why)


def _together(leading: Use, use: Use) -> Use:
    return Use([*leading.options, *use.options], use.operands, leading.odd or use.odd, leading.loose or use.loose)


def _subcommand(row: Row, words: tuple[Word, ...]) -> tuple[Row | None, int]:
    """The subcommand that matches the most words, and how many these are."""
    best: Row | None = None
    for sub in row.sub:
        wanted = sub.alternatives
        fits = len(wanted) <= len(words) and all(map(_fits, words, wanted))
        if fits and (wanted or not words) and (best is None or len(wanted) > len(best.alternatives)):
            best = sub
    return best, len(best.alternatives) if best else 0


def _fits(word: Word, spellings: re.Pattern[str]) -> bool:
    return isinstance(word, str) and not isinstance(word, Absent) and bool(spellings.fullmatch(word))


def by_use(
    parts: tuple[Row, ...], name: str, use: Use, here: tuple[str, ...], opened: Opened | None = None
) -> tuple[Finding, bool]:
    """Judge a command that was read by `parts`, the last of which counts most; also whether it opens a file."""
    row, opened = parts[-1], opened or _operand
    findings = [Finding(Class.OBSERVE if use.given(row.idle) else row.risk, name, row.why)]
    if use.odd:
        findings.append(unknown(name, "unknown-option", use.odd))
    if use.loose and not row.free:
        findings.append(unknown(name, "unknown-word", "a word that is known only when it runs"))
    if row.apart and sum(map(use.given, row.apart.split("|"))) > 1:
        findings.append(unknown(name, "unknown-option", "these options together"))
    if row.needs and not use.given(row.needs):
        needed = " or ".join(row.needs.split())
        findings.append(Finding(Class.UNJUDGED, "missing-option", f"Nobody has judged {name} without {needed}."))
    opens = False
    known = {option: kind for part in parts for option, kind in part.known.items()}
    for option, value in use.options:
        for part in parts:
            if (rise := part.heavier.get(option)) and rise.by(value):
                findings.append(Finding(rise.risk, f"{name} {option}", rise.why))
            shape = part.allowed.get(option)
            if shape and not (isinstance(value, str) and shape.fullmatch(value)):
                findings.append(unknown(name, "unknown-value", f"this value of {option}"))
        if known.get(option) == "<":
            opens = True
            if finding := opened("files", value, name, here, False):
                findings.append(finding)
    found, more = _operands(row, name, use, here, opened)
    return heaviest([*findings, *found]), opens or more


def _operands(row: Row, name: str, use: Use, here: tuple[str, ...], opened: Opened) -> tuple[list[Finding], bool]:
    findings: list[Finding] = []
    kinds = row.operand_kinds
    instead = row.instead.split()
    stands_in = [
        (kinds[0], value) for option, value in use.options if option in instead and row.known.get(option) == "="
    ]
    if use.given(row.instead):
        kinds = kinds[1:] or kinds
    many = any(not isinstance(word, str) for word in use.operands)
    if row.most is not None and (many or len(use.operands) > row.most):
        findings.append(unknown(name, "operands", "so many operands"))
    if row.shape:
        joined = None if many else " ".join(word for word in use.operands if isinstance(word, str))
        if joined is None or not row.shaped.fullmatch(joined):
            findings.append(unknown(name, "operands", "these operands"))
    said = " ".join(word for word in use.operands if isinstance(word, str))
    heavier = [rise for rise in row.raises if rise.operands and (many or re.search(rise.operands, said))]
    findings += [Finding(rise.risk, f"{name} operands", rise.why) for rise in heavier]
    deep = row.recursive == "always" or use.given(row.recursive)
    opens = False
    pairs = stands_in + [(kinds[min(at, len(kinds) - 1)], word) for at, word in enumerate(use.operands)]
    if many and "files" in kinds:
        pairs += [("files", word) for word in use.operands if word is None]
    if deep and kinds[-1] == "files" and len(use.operands) < len(kinds):
        pairs.append(("files", "."))
    for kind, word in pairs:
        opens = opens or kind in {"files", "archive"}
        finding = opened(kind, word, name, here, deep)
        if finding:
            findings.append(finding)
    return findings, opens


def _operand(kind: str, word: Word, name: str, here: tuple[str, ...], deep: bool) -> Finding | None:
    if kind in {"text", "names"}:
        return None
    if kind == "files":
        return SECRET if sensitive(word, here, deep=deep) else None
    if isinstance(word, Glob) and kind == "url" and re.match(r"(?:https?://)?[A-Za-z0-9.:-]+/", word.text):
        word = word.text  # whatever file it matches begins the same way
    if isinstance(word, str):
        if kind == "sed" and sed_only_prints(word):
            return None
        if kind == "awk" and awk_only_prints(word):
            return None
        if kind == "url" and plain_url(word):
            return None
        if kind == "archive" and ":" not in word:
            return SECRET if sensitive(word, here) else None
    what = {"none": "an operand", "sed": "this script", "awk": "this program", "url": "this address"}
    return unknown(name, "operands", what.get(kind, "this operand"))
