"""The characters and the expressions of a PowerShell script; `reader` has the statements around them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from caisey_core.windows import pieces
from caisey_core.windows.pieces import Block, Fields, Items, Listed, Passed, Text, Value
from caisey_core.windows.steps import TURN_LIMIT, Output, Step, Variables, listing

DEPTH_LIMIT: Final = 40


class DoubtError(Exception):
    """It is not certain how PowerShell reads it."""


@dataclass(slots=True)
class Expressions:
    """A script, how far it is read, and what was found in it."""

    text: str
    at: int = 0
    depth: int = 0
    some: bool = False
    steps: list[Step] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    names: Variables = field(default_factory=Variables)
    fed: Value = None
    """The expression that was read last, which may begin a pipeline."""
    own: list[str] = field(default_factory=list)
    """The variables that are known by what the block that is being read has set them to."""
    last: list[Step | None] = field(default_factory=list)
    """The commands of the pipeline that was read last."""
    inside: list[Step | None] = field(default_factory=list)
    span: tuple[int, int] = (0, 0)
    """The pipeline that was in brackets last, and where these begin and end."""
    feeding: Output | None = None
    """What is passed to the blocks of the command that is being read."""

    # -- characters

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What the pattern matches here, which is then behind."""
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def need(self, pattern: re.Pattern[str], why: str) -> re.Match[str]:
        found = self.take(pattern)
        if found is None:
            raise DoubtError(why)
        return found

    def next(self, *starts: str) -> bool:
        return self.text.startswith(starts, self.at)

    def blank(self) -> bool:
        """Skip blanks; whether the next character begins something new."""
        self.take(pieces.BLANK)
        return self.at >= len(self.text) or self.text[self.at] in "|;\n)}"

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise DoubtError("It is nested too deeply.")

    # -- what the statements read

    def pipeline(self, end: str) -> Value:
        """Read one pipeline; its value where it is one literal, or what it lists."""
        raise NotImplementedError

    def block(self) -> Block:
        """Read a block, whose commands stand beside those around it."""
        raise NotImplementedError

    # -- expressions

    def expression(self) -> Value:
        """An expression without side effects; its value where it is a literal or a list of literals."""
        self.deeper()
        values, plain, span = [self.unary()], True, False
        while True:
            mark = self.at
            self.take(pieces.BLANK)
            sign = self.take(pieces.OPERATOR)
            if sign is None:
                self.at = mark
                break
            plain, span = plain and sign[0].strip() == ",", sign[0] == ".." and len(values) == 1
            self.take(pieces.SPACE)
            values.append(self.unary())
        self.depth -= 1
        if span and len(values) == 2 and all(isinstance(one, Text) and one.text.isdigit() for one in values):
            first, last = (int(one.text[:9]) for one in values if isinstance(one, Text))
            numbers = range(min(first, last), max(first, last) + 1)
            return Items(tuple(Text(str(one)) for one in numbers)) if len(numbers) <= TURN_LIMIT else None
        if not plain:
            return None
        return values[0] if len(values) == 1 else Items(tuple(values))

    def unary(self) -> Value:
        changed = False
        while self.take(pieces.UNARY):
            changed = True
        if cast := self.take(pieces.TYPE):
            name = cast[1].lower().removeprefix("system.")
            if self.next("::"):
                self.static(name)
                self.chain()
                return None
            if name not in pieces.TYPES:
                raise DoubtError("It uses a type that is not judged.")
            self.take(pieces.BLANK)
            if self.next("@{", "$", "'", '"', "(", "@(", "[", "-") or self.text[self.at : self.at + 1].isdigit():
                self.deeper()
                self.unary()
                self.depth -= 1
            return None
        value = self.primary()
        return None if changed else value

    def static(self, name: str) -> None:
        found = self.need(pieces.STATIC, "It uses a static member.")
        if (name, found[1].lower(), bool(found[2])) not in pieces.STATICS:
            raise DoubtError("It uses a static member that is not judged.")
        if found[2]:
            self.arguments()

    def primary(self) -> Value:
        if found := self.take(pieces.NUMBER):
            return Text(found[0])
        value: Value
        if found := self.take(pieces.SINGLE):
            value = Text(found[1].replace("''", "'"))
        elif self.next('"'):
            value = self.double()
        elif self.next("$"):
            return self.variable()
        elif self.take(pieces.TABLE_OPEN):
            return self.table()
        elif self.take(pieces.LIST_OPEN):
            before = len(self.steps)
            value = Items(()) if self.next(")") else self.pipeline(")")
            self.at += 1
            if len(self.steps) > before and not isinstance(value, Passed):
                value = None
        elif found := self.take(pieces.OPEN_PAREN):
            value = self.pipeline(")")
            self.at += 1
            self.inside, self.span = self.last, (found.start(), self.at)
        else:
            raise DoubtError("It uses a part of PowerShell's language that is not judged.")
        return self.member(value)

    def member(self, value: Value) -> Value:
        """What stands behind a value; of what is listed its full path is known."""
        start = self.at
        if not self.chain():
            return value
        found = listing(value) if pieces.OWN_PATH.fullmatch(self.text, start, self.at) else None
        return found if found and self.names.spend(len(found.paths)) else None

    def chain(self) -> bool:
        """Read members, indexes and the few methods that only compute; whether there were any."""
        some = False
        while True:
            if self.take(pieces.PURE_CALL):
                pass
            elif found := self.take(pieces.EACH_METHOD):
                self.each_method(found[1])
            elif found := self.take(pieces.MEMBER):
                if found[2]:
                    if found[1].lower() not in pieces.METHODS:
                        raise DoubtError(f"It calls a method ({found[1][:40]}).")
                    self.arguments()
            elif self.take(pieces.NAMED_MEMBER):
                pass
            elif self.next("["):
                self.at += 1
                self.expression()
                self.need(pieces.CLOSE_INDEX, "A bracket is not closed.")
            else:
                return some
            some = True

    def each_method(self, bracket: str) -> None:
        """`.Where({...})` and `.ForEach({...})`: a block for each of several objects, as a command has it."""
        outer, self.feeding = self.feeding, None
        with self.names.bind("_", None):
            self.block()
        self.feeding = outer
        if bracket:
            if self.take(pieces.COMMA):
                self.expression()
            self.need(pieces.CLOSE_PAREN, "A bracket is not closed.")

    def arguments(self) -> None:
        self.take(pieces.SPACE)
        if not self.next(")"):
            self.expression()
            self.take(pieces.SPACE)
        if not self.next(")"):
            raise DoubtError("A bracket is not closed.")
        self.at += 1

    def variable(self) -> Value:
        if found := self.take(pieces.ENVIRONMENT):
            return self.of_environment(found[1])
        found = self.need(pieces.VARIABLE, "It uses a variable in a way that is not judged.")
        name = found[1].lower()
        if name in {"true", "false", "null"}:
            return self.member(Text("$" + name))
        return self.member(self.names.turn(name) or pieces.KNOWN.get("$" + name))

    def of_environment(self, name: str) -> Value:
        value = pieces.KNOWN.get("$env:" + name.lower())
        if value is None and name.lower() not in pieces.HARMLESS_ENVIRONMENT:
            self.environment.append(name)
        if self.chain():
            return None
        return value

    def double(self) -> Value:
        """A string in double quotes. None where what it becomes is not known."""
        start, self.at = self.at, self.at + 1
        texts: tuple[str, ...] | None = ("",)
        while not self.take(pieces.QUOTE):
            if found := self.take(pieces.IN_DOUBLE):
                more: Value = Text(found[0].replace('""', '"'))
            elif self.take(pieces.SUBEXPRESSION):
                first = self.at == start + 3
                more = self.pipeline(")")
                self.at += 1
                if first and isinstance(more, Listed) and self.take(pieces.BELOW):
                    return more
                more = None
            elif self.take(pieces.ESCAPED):
                more = None
            elif found := self.take(pieces.ENVIRONMENT):
                more = self.of_environment(found[1])
            elif found := self.take(pieces.VARIABLE):
                if self.next(":"):
                    raise DoubtError("A variable in a string can be read in two ways.")
                more = self.names.turn(found[1].lower()) or pieces.KNOWN.get("$" + found[1].lower())
            else:
                raise DoubtError("A string is written in a way that is not judged.")
            ends = [one.text for one in (more.values if isinstance(more, Items) else (more,)) if isinstance(one, Text)]
            known = texts is not None and ends and len(texts) * len(ends) <= TURN_LIMIT
            texts = tuple(text + end for text in texts for end in ends) if texts and known else None
        # Beside other text the machine's name would be told to whomever an address names.
        if texts is None or (texts != ("localhost",) and pieces.OWN_NAME.search(self.text, start, self.at)):
            return None
        return Text(texts[0]) if len(texts) == 1 else Items(tuple(map(Text, texts)))

    def table(self) -> Fields:
        """`@{name = value; ...}`; a value may be a block here."""
        entries: list[tuple[str, Value]] = []
        while True:
            while self.take(pieces.BETWEEN):
                pass
            if self.next("}"):
                self.at += 1
                return Fields(tuple(entries))
            found = self.need(pieces.KEY, "A table is written in a way that is not judged.")
            key = (found[1] or found[2] or found[3]).lower()
            if self.next("{"):
                entries.append((key, self.block()))
            else:
                entries.append((key, self.pipeline("")))
            self.take(pieces.BLANK)
            if not self.next(";", "\n", "}"):
                raise DoubtError("A table is written in a way that is not judged.")
