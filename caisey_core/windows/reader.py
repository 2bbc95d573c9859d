"""A PowerShell script taken apart into the commands it would start, with a doubt where that is not certain.

Only a small part of the language is read: pipelines of commands with literal arguments, blocks for filters, pure
expressions, conditions and loops. Every character has to be part of something that one pattern here accepts
(about_Parsing, about_Quoting_Rules); whatever is left over ends the reading with a doubt. There is no way to call a
method, a static member or a command that is not named in the text, but for short lists of those that compute.
"""

from __future__ import annotations

from typing import Final

from caisey_core.windows import pieces
from caisey_core.windows.expressions import DoubtError, Expressions
from caisey_core.windows.pieces import BLOCK, Block, Fields, Items, Text, Value
from caisey_core.windows.steps import Output, Part, Read, Step, Variables

COMMAND_LIMIT: Final = 256
WORD_LIMIT: Final = 256
_EACH: Final = frozenset({"foreach-object", "foreach", "%", "where-object", "where", "?"})
_GIVEN: Final = _EACH | pieces.names_of(
    "select-object select sort-object sort group-object group format-table ft format-list fl measure-object measure"
)
"""Commands whose blocks are given what the pipeline feeds."""


def read(script: str) -> Read:
    """Take a script apart. Never raises, whatever the text is."""
    reader = _Reader(script, names=Variables(script))
    try:
        reader.statements(end="")
        doubt = ""
    except DoubtError as error:
        doubt = str(error)
    return Read(tuple(reader.steps[:COMMAND_LIMIT]), tuple(reader.environment), doubt, not reader.some)


class _Reader(Expressions):
    """Statements and pipelines, around what `Expressions` reads."""

    __slots__ = ()

    # -- statements

    def statements(self, end: str) -> None:
        """Read statements up to `end`, which is left behind; the end of the text where it is empty."""
        self.deeper()
        outer, self.own = self.own, []
        while True:
            while self.take(pieces.BETWEEN) or self.comment():
                pass
            if self.at >= len(self.text):
                if end:
                    raise DoubtError("A bracket is not closed.")
                break
            if end and self.next(end):
                self.at += 1
                break
            self.statement()
            self.take(pieces.BLANK)
            self.comment()
            if self.at < len(self.text) and not self.next(";", "\n") and not (end and self.next(end)):
                raise DoubtError("A part of it belongs to no command.")
        self.names.forget(self.own)
        self.own = outer
        self.depth -= 1

    def comment(self) -> bool:
        return bool(self.take(pieces.COMMENT))

    def statement(self) -> None:
        self.some = True
        if word := self.take(pieces.IF):
            self.condition()
            while word := self.take(pieces.ELSE):
                if word[1].lower() == "elseif":
                    self.condition()
                else:
                    self.body()
            return
        if self.take(pieces.WHILE):
            self.condition()
            return
        if self.take(pieces.DO):
            self.body()
            self.need(pieces.DO_WHILE, "A condition is expected.")
            self.pipeline(")")
            self.at += 1
            return
        if self.take(pieces.SWITCH):
            self.switch()
            return
        if found := self.take(pieces.COUNTED):
            self.variable_to_set(found[1])
            self.body()
            return
        if self.take(pieces.TRY):
            self.body()
            self.need(pieces.CATCH, "What catches an error is not plain.")
            with self.names.bind("_", None):
                self.body()
            while self.take(pieces.CATCH):
                with self.names.bind("_", None):
                    self.body()
            return
        if self.take(pieces.FOREACH):
            name = self.need(pieces.LOOP_VARIABLE, "The variable of a loop is not plain.")[1].lower()
            self.variable_to_set(name)
            value = self.pipeline(")")
            self.at += 1
            with self.names.bind(name, value):
                self.body()
            return
        if found := self.take(pieces.ASSIGNMENT):
            self.variable_to_set(found[2])
            if found[1] and found[1].lower() not in pieces.TYPES:
                raise DoubtError("It uses a type that is not judged.")
            if pieces.COMPOUND.match(self.text, self.at):
                self.statement()
                return
            value = self.pipeline("")
            if not found[1] and not found[3] and self.names.assign(found[2].lower(), value):
                self.own.append(found[2].lower())
            return
        self.pipeline("")

    def condition(self) -> None:
        self.need(pieces.OPEN_PAREN, "A condition is expected.")
        self.pipeline(")")
        self.at += 1
        self.body()

    def switch(self) -> None:
        """`(value) { label {block} ... }`; a label is a literal or a block."""
        self.at += 1
        self.pipeline(")")
        self.at += 1
        self.need(pieces.OPEN_BLOCK, "A block is expected.")
        some = False
        with self.names.bind("_", None):
            while not self.take(pieces.CLOSE_SWITCH):
                self.take(pieces.BETWEEN)
                if self.next("{"):
                    self.block()
                elif self.next('"'):
                    self.double()
                else:
                    self.need(pieces.LABEL, "A label is written in a way that is not judged.")
                self.body()
                some = True
        if not some:
            raise DoubtError("A block is expected.")

    def body(self) -> None:
        self.need(pieces.OPEN_BLOCK, "A block is expected.")
        self.statements("}")

    def variable_to_set(self, name: str) -> None:
        if pieces.STEERING.fullmatch(name):
            raise DoubtError("It sets a variable that may change what a command does.")

    # -- pipelines

    def pipeline(self, end: str) -> Value:
        """Read one pipeline; its value where it is one literal, or what it passes on."""
        self.deeper()
        self.take(pieces.SPACE)
        before: list[Step | None] = []
        value: Value = None
        again = False
        while True:
            if self.next("%", "?") and before:
                before.append(
                    self.command(self.need(pieces.SIGN_NAME, "It is not certain what is called.")[0], before, again)
                )
            elif name := (before and self.take(pieces.FOREACH_NAME)) or self.take(pieces.NAME):
                before.append(self.command(name[0], before, again))
            elif not before:
                start = self.at
                value = self.fed = self.expression()
                inside = self.inside if (start, self.at) == self.span else None
                again = isinstance(value, Output) and not inside
                before += inside or (value.steps if isinstance(value, Output) else [None])
            else:
                raise DoubtError("Which command is called is not certain.")
            self.take(pieces.BLANK)
            if not self.take(pieces.PIPE):
                break
            value = None
        if end and not self.next(end):
            self.take(pieces.SPACE)
            if not self.next(end):
                raise DoubtError("A bracket is not closed.")
        self.depth -= 1
        self.last = before
        return value if before == [None] else Output(tuple(before))

    def command(self, name: str, before: list[Step | None], again: bool) -> Step:
        outer, self.feeding = self.feeding, None
        if before and None not in before and name.lower() in _GIVEN:
            self.feeding = Output(tuple(before))
        one = self.fed if before == [None] and name.lower() in _EACH else None
        if before:
            with self.names.bind("_", one):
                step = self.command_of(name, before, again)
        else:
            step = self.command_of(name, before, again)
        aside = any(part.name.lower() in {"begin", "end"} for part in step.parts)
        if before and (aside or sum(isinstance(part.value, Block) for part in step.parts) > 1):
            raise DoubtError("Which of its blocks sees what it is given is not certain.")
        self.feeding = outer
        return step

    def command_of(self, name: str, before: list[Step | None], again: bool) -> Step:
        parts: list[Part] = []
        while True:
            spaced = bool(self.take(pieces.BLANK_SOME))
            if self.blank():
                break
            if not spaced and not (self.next("{") and name in {"%", "?", "foreach"}):
                raise DoubtError("It is not certain where its words begin and end.")
            if self.comment():
                break
            if self.take(pieces.HARMLESS_REDIRECT):
                continue
            if found := self.take(pieces.SPLAT):
                parts += self.splat(found[1].lower())
            else:
                parts.append(self.part(name))
            if len(parts) > WORD_LIMIT:
                raise DoubtError("There are too many words in one command.")
        step = Step(name, tuple(parts), tuple(before), again)
        self.steps.append(step)
        if len(self.steps) > COMMAND_LIMIT:
            raise DoubtError("There are too many commands in one script.")
        return step

    def part(self, command: str) -> Part:
        start = self.at
        if found := self.take(pieces.PARAMETER):
            if found[2]:
                value = self.argument(command)
                return Part(found[1], value, self.shown(start, value))
            return Part(found[1], None, found[0])
        value = self.argument(command)
        return Part("", value, self.shown(start, value))

    def splat(self, name: str) -> list[Part]:
        """The parameters of `@name`, where the table is known."""
        table = self.names.turn(name)
        if not isinstance(table, Fields) or not all(key.isalpha() for key, _ in table.entries):
            raise DoubtError("It takes parameters from a table that is not known.")
        return [Part(key, value, f"-{key}:@{name}") for key, value in table.entries]

    def shown(self, start: int, value: Value) -> str:
        text = self.text[start : self.at]
        if isinstance(value, Text) and text[:1] in "'\"":
            return value.text or "''"
        return text

    def argument(self, command: str) -> Value:
        """One argument: a value, or several with commas between."""
        values = [self.simple(command)]
        while self.take(pieces.COMMA):
            values.append(self.simple(command))
        if self.at < len(self.text) and not self.next(" ", "\t", "|", ";", "\n", ")", "}"):
            raise DoubtError("It is not certain where its words begin and end.")
        return values[0] if len(values) == 1 else Items(tuple(values))

    def simple(self, command: str) -> Value:
        if self.next("{"):
            if command.lower().startswith("get-ad") or command.lower() in pieces.FILTERED:
                return Text(self.need(pieces.FILTER_BLOCK, "A filter is not plain.")[1].strip())
            return self.block()
        if self.next("@", "(", "'", '"'):
            return self.primary()
        if self.next("$"):
            value = self.variable()
            if rest := self.take(pieces.PATH_REST):
                return Text(value.text + rest[0]) if isinstance(value, Text) else None
            return value
        word = self.need(pieces.BARE, "An argument is written in a way that is not judged.")[0]
        if word.startswith("--%"):
            raise DoubtError("After --% everything is passed on as it is.")
        if pieces.LEAD.fullmatch(word) and self.next("'", '"'):
            quoted = self.primary()
            return Text(word + quoted.text) if isinstance(quoted, Text) else None
        return Text(word, bare=True)

    def block(self) -> Block:
        self.at += 1
        given, self.feeding = self.feeding, None
        if given:
            with self.names.bind("_", given):
                self.statements("}")
        else:
            self.statements("}")
        self.feeding = given
        return BLOCK
