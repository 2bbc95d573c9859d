"""A shell script taken apart into the programs it would start, with a doubt where that is not certain.

The grammar proposes the structure and nothing it says is believed unchecked: every byte of the script has to be a
word that one strict pattern accepts, an operator its node may have, or blank space. What is left over, what is
outside the node types below, and what `sh` and bash read differently, becomes a doubt. A script without
a doubt is therefore split into words exactly as POSIX XCU 2.3 and bash split it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from caisey_core import grammar, likely
from caisey_core.words import Like, ShellWord, strange_text, unquote, word_end

if TYPE_CHECKING:
    from tree_sitter import Node

PROGRAM_LIMIT: Final = 256
DEPTH_LIMIT: Final = 60
TURN_LIMIT: Final = 8
"""How many words a loop may have to be read once for each; all loops of a script together eight times as many."""

SHELLS: Final = {
    "/bin/sh": False,
    "/usr/bin/sh": False,
    "/bin/dash": False,
    "/usr/bin/dash": False,
    "/bin/bash": True,
    "/usr/bin/bash": True,
}
"""Shells whose language is known here, and whether it is bash's."""


@dataclass(frozen=True, slots=True)
class Program:
    """One simple command. A word that is not literal is None; `patterns` has its text where it is a glob.

    `argv` is empty for a redirection or an assignment that stands alone. `writes` are the files a redirection
    creates or cuts to nothing, `appends` those it adds to, `reads` those it feeds to the program.
    """

    argv: tuple[str | None, ...] = ()
    assignments: tuple[str, ...] = ()
    writes: tuple[str | None, ...] = ()
    appends: tuple[str | None, ...] = ()
    reads: tuple[str | None, ...] = ()
    patterns: tuple[str | None, ...] = ()
    piped: bool = False
    """What it shows goes into a pipe, and to no terminal."""


@dataclass(frozen=True, slots=True)
class TakenApart:
    """Every program that was found; `doubt` is empty, or why these may not be all or not what would run."""

    programs: tuple[Program, ...]
    doubt: str


def take_apart(script: str, shell: str) -> TakenApart:
    """Take `script` apart as the shell at this absolute path would. Never raises, whatever the text is."""
    bash = SHELLS.get(shell)
    if bash is None:
        return TakenApart((), f"{shell or 'This shell'} is not a shell whose language is known.")
    if doubt := strange_text(script):
        return TakenApart((), doubt)
    source = script.encode()
    if doubt := grammar.too_much(source):
        return TakenApart((), doubt)
    reader = _Reader(source, bash)
    root = grammar.parse(source)
    if root.has_error:
        reader.doubt("The shell's grammar does not accept this script.")
    reader.block(root, 0)
    if len(reader.programs) > PROGRAM_LIMIT:
        reader.doubt("There are too many commands in one script.")
    return TakenApart(tuple(reader.programs[:PROGRAM_LIMIT]), reader.why)


_FROM_SUBSTITUTION: Final = ShellWord("/dev/fd/63")
"""What `<(...)` becomes: a pipe to read from. What is written into it is read on its own."""


@dataclass(slots=True)
class _Reader:
    source: bytes
    bash: bool
    programs: list[Program] = field(default_factory=list)
    why: str = ""
    bound: dict[bytes, ShellWord] = field(default_factory=dict)
    """What the variable of a loop stands for while the loop is read for one of its words."""
    turned: int = 0
    piped: bool = False
    """Whether what is read now feeds a pipe."""
    likely: bool = False
    """Whether the word that is being read has something in it that stands for others like it."""
    bare: bool = False
    """Whether nothing in that word is quoted."""

    def doubt(self, why: str) -> None:
        self.why = self.why or why

    def raw(self, node: Node) -> bytes:
        return self.source[node.start_byte : node.end_byte].lstrip(b" \t\n")

    def block(self, node: Node, depth: int) -> None:
        """Read a node that holds statements: its tokens, the space between, and what it holds."""
        tokens = grammar.TOKENS.get(node.type)
        if tokens is None or depth > DEPTH_LIMIT:
            self.outside(node, depth)
            return
        at, separated = node.start_byte, True
        for child, following in zip_longest(node.children, node.children[1:]):
            if len(self.programs) > PROGRAM_LIMIT:
                return
            gap = self.source[at : child.start_byte]
            if gap and not grammar.SPACE.fullmatch(gap):
                self.doubt("A part of it belongs to no command.")
            separated = separated or b"\n" in gap or not child.is_named
            at = child.end_byte
            if not child.is_named:
                self.token(child, tokens)
            elif child.type == "comment":
                self.comment(child)
            else:
                if not separated:
                    self.doubt("Two commands stand side by side.")
                separated = child.type in grammar.CLAUSES
                outer = self.piped
                self.piped = outer or (following is not None and following.type in {"|", "|&"})
                self.statement(child, depth + 1)
                self.piped = outer
        if not grammar.SPACE.fullmatch(self.source[at : node.end_byte]):
            self.doubt("A part of it belongs to no command.")

    def token(self, node: Node, allowed: frozenset[str]) -> None:
        text = self.raw(node).decode(errors="replace") or "\n"
        if text not in allowed:
            self.doubt(f"{text} is not understood here.")
        if text == "|&" and not self.bash:
            self.doubt("|& means something else to sh than to bash.")

    def comment(self, node: Node) -> None:
        before = self.source[max(0, node.start_byte - 2) : node.start_byte]
        if (before and before[-1:] not in b" \t\n;") or before[:1] == b"\\" or b"\n" in self.raw(node):
            self.doubt("It is not certain where a comment begins.")

    def statement(self, node: Node, depth: int) -> None:
        """Read one statement of any kind."""
        if depth > DEPTH_LIMIT:
            self.doubt("It is nested too deeply.")
        elif node.type == "command":
            self.command(node, depth)
        elif node.type == "redirected_statement":
            self.redirected(node, depth)
        elif node.type == "test_command":
            self.test(node, depth)
        elif node.type == "for_statement":
            self.loop(node, depth)
        elif node.type in {"variable_assignment", "variable_assignments"}:
            self.assigned(node, depth)
        else:
            self.block(node, depth)

    def outside(self, node: Node, depth: int) -> None:
        """A construct that is not taken apart: doubted, but the commands in it are listed."""
        self.doubt(f"It uses a part of the shell's language that is not judged ({node.type.replace('_', ' ')}).")
        if depth > DEPTH_LIMIT:
            return
        for child in node.named_children:
            if child.type in grammar.STATEMENTS or child.named_child_count:
                self.statement(child, depth + 1)

    # -- simple commands

    def command(self, node: Node, depth: int, redirects: Iterable[Node] = ()) -> None:
        """Read a simple command with its assignments, words and redirections, in the order they stand."""
        parts = [*node.children, *redirects]
        words: list[ShellWord] = []
        made = Program()
        at, first = node.start_byte, True
        for child in parts:
            gap = self.source[at : child.start_byte]
            part = child.named_children[0] if child.type == "command_name" and child.named_children else child
            redirect = part.type.endswith("_redirect")
            if not grammar.BLANK.fullmatch(gap) or not (gap or first or redirect):
                self.doubt("It is not certain where its words begin and end.")
            at, first = child.end_byte, False
            if redirect:
                made, more = self.redirect(part, made, depth)
                words += more
            elif part.type == "variable_assignment":
                made = replace(made, assignments=(*made.assignments, self.assignment(part, depth)))
            elif grammar.WORD_NODE.fullmatch(part.type):
                if not words and grammar.RESERVED.fullmatch(self.raw(part)):
                    self.doubt("A word of the shell's own stands where a command is expected.")
                words.append(self.word(part, depth))
            else:
                self.outside(part, depth)
        piped = self.into_pipe(parts)
        for some in likely.variants(words):
            argv, patterns = tuple(w.text for w in some), tuple(w.pattern for w in some)
            self.programs.append(replace(made, argv=argv, patterns=patterns, piped=piped))

    def redirected(self, node: Node, depth: int) -> None:
        """Read a statement with redirections after it. tree-sitter hangs those of a pipeline's end on the whole."""
        body = node.child_by_field_name("body")
        redirects = [child for child in node.children if child.type.endswith("_redirect")]
        if len(redirects) + (body is not None) != node.child_count:
            self.doubt("A part of it belongs to no command.")
        if body is not None and body.type == "command":
            self.command(body, depth, redirects)
            return
        at = node.start_byte
        if body is not None:
            outer, self.piped = self.piped, self.into_pipe(redirects)
            self.statement(body, depth + 1)
            self.piped, at = outer, body.end_byte
        made, words = Program(), list[ShellWord]()
        for child in redirects:
            gap = self.source[at : child.start_byte]
            if not grammar.BLANK.fullmatch(gap):
                self.doubt("It is not certain where its words begin and end.")
            at = child.end_byte
            made, more = self.redirect(child, made, depth)
            words += more
        if words:
            self.doubt("Words follow a redirection of several commands.")
        self.programs.append(made)

    def into_pipe(self, parts: Iterable[Node]) -> bool:
        """Whether what these redirections are for feeds a pipe: any but those of errors may undo it."""
        redirects = [self.raw(part) for part in parts if part.type.endswith("_redirect")]
        return self.piped and all(each.startswith(b"2>") for each in redirects)

    def redirect(self, node: Node, made: Program, depth: int) -> tuple[Program, list[ShellWord]]:
        """Read one redirection. tree-sitter counts the words after it among its targets; they are arguments."""
        if node.type == "herestring_redirect" and self.bash and node.child_count == 2:
            self.word(node.children[1], depth)
            return replace(made, reads=(*made.reads, "/dev/null")), []
        if node.type != "file_redirect":
            self.outside(node, depth)
            return made, []
        children = node.children
        if children[0].type == "file_descriptor":
            start = children[0].end_byte - len(self.raw(children[0]))
            before = self.source[max(0, start - 1) : start]
            glued = before not in grammar.BEFORE_DESCRIPTOR or children[0].end_byte != children[1].start_byte
            if glued or not grammar.DESCRIPTOR.fullmatch(self.raw(children[0]).decode(errors="replace")):
                self.doubt("A redirection names no plain descriptor.")
            children = children[1:]
        elif self.source[max(0, node.start_byte - 1) : node.start_byte].isdigit():
            self.doubt("A redirection names no plain descriptor.")
        sign, targets = self.raw(children[0]).decode(errors="replace"), children[1:]
        if sign not in grammar.REDIRECTS or (sign[0] == "&" and not self.bash):
            self.doubt(f"The redirection {sign} is not understood here.")
        odd = any(not grammar.WORD_NODE.fullmatch(target.type) for target in targets)
        if odd or bool(targets) == sign.endswith("-"):
            self.doubt("A redirection is not understood here.")
            return made, []
        for left, right in zip(children, targets, strict=False):
            gap = self.source[left.end_byte : right.start_byte]
            if not grammar.BLANK.fullmatch(gap) or not (gap or left is children[0]):
                self.doubt("It is not certain where its words begin and end.")
        words = [self.word(target, depth) for target in targets]
        if sign in {">&", "<&"} and not (words and grammar.DESCRIPTOR.fullmatch(words[0].text or "")):
            self.doubt("A redirection names no plain descriptor.")
        if not words:
            return made, []
        return _redirected(made, sign, None if words[0].instead else words[0].text), words[1:]

    # -- other statements

    def test(self, node: Node, depth: int) -> None:
        """Read `[ ... ]`, which is a command like any other; tree-sitter gives its expression instead of words."""
        raw = self.skeleton(node, depth).replace(likely.SOME, b"\0").replace(likely.WHERE, b"\0")
        words = raw.split()
        if grammar.SINGLE_TEST.fullmatch(raw) or (self.bash and grammar.DOUBLE_TEST.fullmatch(raw)):
            self.programs.append(Program(argv=("[[",), patterns=(None,)))
            return
        if words[:1] != [b"["] or words[-1:] != [b"]"] or b"\n" in raw:
            self.doubt("A test in double brackets is not judged.")
            return
        made, at = [], 0
        while at < len(raw):
            blank = grammar.BLANK.match(raw, at)
            end = word_end(raw, blank.end() if blank else at)
            if end == at or (at and blank is not None and blank.end() == at):
                self.doubt("It is not certain where the words of a test begin and end.")
                return
            made.append(self.decode(raw[blank.end() if blank else at : end]))
            at = end
        self.programs.append(Program(argv=tuple(w.text for w in made), patterns=tuple(w.pattern for w in made)))

    def loop(self, node: Node, depth: int) -> None:
        """Read `for name in words; do ...; done`."""
        at, name = node.start_byte, b""
        values: list[ShellWord] = []
        for child in node.children:
            gap = self.source[at : child.start_byte]
            word = bool(grammar.WORD_NODE.fullmatch(child.type))
            if not (grammar.BLANK if word else grammar.SPACE).fullmatch(gap) or (word and not gap):
                self.doubt("It is not certain where the words of a loop begin and end.")
            at = child.end_byte
            if child.type == "variable_name":
                name = self.raw(child)
                if not grammar.LOWER_NAME.fullmatch(self.raw(child)):
                    self.doubt("A loop sets a variable that may steer the shell or a program.")
            elif word:
                values.append(self.value(child, depth))
            elif child.type == "do_group":
                for turn in self.turns(name, values, self.raw(child)):
                    self.bound, outer = turn or self.bound, self.bound
                    self.statement(child, depth + 1)
                    self.bound = outer
            elif child.is_named:
                self.outside(child, depth)
            else:
                self.token(child, frozenset({"for", "in", ";", "\n"}))

    def turns(self, name: bytes, values: list[ShellWord], body: bytes) -> list[dict[bytes, ShellWord]]:
        """What the variable of a loop stands for each time; one empty turn where that is not certain."""
        known = all(
            (grammar.PLAIN_TEXT if value.text else grammar.PLAIN_PATTERN).fullmatch(value.text or value.pattern or "")
            for value in values
        )
        changed = re.search(rb"\b(?:read|for|getopts|mapfile|readarray)\b|\b%b\+?=" % re.escape(name), body)
        few = 1 <= len(values) <= TURN_LIMIT and len(values) * len(body) <= grammar.SCRIPT_LIMIT // 8
        if self.bound or changed or not known or not few or b"$" not in body:
            return [{}]
        self.turned += len(values)
        return [{name: value} for value in values] if self.turned <= 8 * TURN_LIMIT else [{}]

    def assigned(self, node: Node, depth: int) -> None:
        """Read assignments that stand alone: they hold for every command after them."""
        nodes = [node] if node.type == "variable_assignment" else node.named_children
        self.programs.append(Program(assignments=tuple(self.assignment(child, depth) for child in nodes)))

    def assignment(self, node: Node, depth: int) -> str:
        self.skeleton(node, depth)
        return self.raw(node).decode(errors="replace")

    def value(self, node: Node, depth: int) -> ShellWord:
        """Read one of the words a loop goes over: one for each number is read as one of them."""
        ranged = grammar.A_RANGE.fullmatch(self.raw(node)) if self.bash else None
        word = self.word(node, depth)
        if ranged:
            return ShellWord(Like((ranged[1] + b"1" + ranged[2]).decode()))
        return replace(word, instead=()) if word.instead in {(), likely.NUMBERS} else ShellWord(None)

    # -- words

    def word(self, node: Node, depth: int) -> ShellWord:
        """Read one word: its text, or None where the shell decides what it becomes."""
        outer, self.likely = (self.likely, self.bare), False
        self.bare = not re.search(rb"[\"'\\]", self.raw(node))
        word = self.read(node, depth)
        if self.likely and word.text is not None:
            word = replace(word, text=Like(word.text))
        self.likely, self.bare = outer
        return word

    def read(self, node: Node, depth: int) -> ShellWord:
        used = grammar.USED.fullmatch(self.raw(node)) if self.bound else None
        value = self.bound.get(used[2]) if used else None
        whole = used and (used[1] or (value and grammar.KERNEL_NAMES.fullmatch(value.pattern or "")))
        if used and value and (value.text is not None or whole):
            return value
        raw = self.skeleton(node, depth)
        text = self.decode(raw.replace(likely.SOME, b"1").replace(likely.WHERE, b"\0"))
        if node.type == "process_substitution" and self.raw(node).startswith(b"<("):
            return _FROM_SUBSTITUTION
        if likely.WHERE in raw:
            program = grammar.A_PROGRAM.fullmatch(likely.modern(self.raw(node).strip(b'"')))
            return likely.placed(program[1].decode(), raw) if program else ShellWord(None)
        return text if likely.SOME not in raw else likely.several(raw, text)

    def skeleton(self, node: Node, depth: int) -> bytes:
        """The node's own text with a NUL in the place of each expansion, which is read on its own."""
        if not node.child_count:
            return self.raw(node)
        text, at = b"", node.start_byte
        for start, end in self.holes(node, depth):
            text, at = text + self.source[at:start] + self.known(self.source[start:end]), end
        return (text + self.source[at : node.end_byte]).lstrip(b" \t\n")

    def known(self, expansion: bytes) -> bytes:
        """What an expansion becomes, or a NUL."""
        used = grammar.USED.fullmatch(expansion) if self.bound else None
        value = self.bound.get(used[2]) if used else None
        if value and value.text is not None:
            self.likely = self.likely or isinstance(value.text, Like)
            return value.text.encode()
        if value and self.bare and grammar.KERNEL_NAMES.fullmatch(value.pattern or ""):
            return (value.pattern or "").encode()
        like = likely.one_of(likely.modern(expansion))
        self.likely = self.likely or bool(like)
        return like or b"\0"

    def holes(self, node: Node, depth: int) -> list[tuple[int, int]]:
        if depth > DEPTH_LIMIT:
            self.doubt("It is nested too deeply.")
            return []
        raw = self.raw(node)
        if node.type in {"simple_expansion", "expansion", "arithmetic_expansion"}:
            if not grammar.EXPANSIONS[node.type].fullmatch(raw):
                self.doubt("An expansion does more than insert a variable.")
                for child in node.named_children:
                    self.holes(child, depth + 1)
        elif node.type in {"command_substitution", "process_substitution"}:
            self.substitution(node, raw, depth)
        elif node.child_count:
            return [hole for child in node.children for hole in self.holes(child, depth + 1)]
        else:
            return []
        return [(node.end_byte - len(raw), node.end_byte)]

    def substitution(self, node: Node, raw: bytes, depth: int) -> None:
        if raw.startswith(b"$((") or (raw[:1] == b"`" and grammar.BACKTICK_UNSAFE.search(raw)):
            self.doubt("A substitution can be read in two ways.")
        if node.type == "process_substitution" and not self.bash:
            self.doubt("sh knows no process substitution.")
        redirects = [child for child in node.children if child.type == "file_redirect"]
        if redirects and node.child_count == 3:
            made, more = self.redirect(redirects[0], Program(), depth + 1)
            if more or made.writes or made.appends:
                self.doubt("A substitution can be read in two ways.")
            self.programs.append(replace(made, argv=("cat",), patterns=(None,)))
        else:
            self.block(node, depth + 1)

    def decode(self, raw: bytes) -> ShellWord:
        word = unquote(raw)
        if word is None:
            self.doubt("A word is written in a way that is not judged.")
        return word or ShellWord(None)


def _redirected(made: Program, sign: str, target: str | None) -> Program:
    if sign in {">&", "<&"}:
        return made
    if sign == "<":
        return replace(made, reads=(*made.reads, target))
    if target in {"/dev/null", "/dev/stdout", "/dev/stderr"}:
        return made
    if sign in {">>", "&>>"}:
        return replace(made, appends=(*made.appends, target))
    return replace(made, writes=(*made.writes, target))
