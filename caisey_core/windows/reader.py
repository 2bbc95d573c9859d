"""A PowerShell script taken apart into the commands it would start, with a doubt where that is not certain.

Only a small part of the language is read: pipelines of commands with literal arguments, blocks for filters, pure
expressions, conditions and loops. Every character has to be part of something that one pattern here accepts
(about_Parsing, about_Quoting_Rules); whatever is left over ends the reading with a doubt. There is no way to call a
method, a static member or a command that is not named in the text, but for short lists of those that compute.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from caisey_core.windows import pieces
from caisey_core.windows.pieces import BLOCK, Block, Fields, Items, Text, Value

DEPTH_LIMIT: Final = 40
COMMAND_LIMIT: Final = 256
WORD_LIMIT: Final = 256
TURN_LIMIT: Final = 256
"""How many literals the variable of a loop may stand for; all uses of such variables together twice as many."""
_EACH: Final = frozenset({"foreach-object", "foreach", "%", "where-object", "where", "?"})


@dataclass(frozen=True, slots=True)
class Part:
    """One element of a command: a parameter with what is attached to it by a colon, or an argument."""

    name: str = ""
    value: Value | None = None
    """None: a parameter with nothing attached."""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `before`: the steps that feed it, the first of which is None where it is an expression."""

    name: str
    parts: tuple[Part, ...]
    before: tuple[Step | None, ...] = ()

    @property
    def words(self) -> tuple[str | None, ...]:
        """The command as a verdict shows it."""
        return (self.name, *(part.raw or None for part in self.parts))


@dataclass(frozen=True, slots=True)
class Read:
    """Every command that was found, sensitive names of the environment, and a doubt or an empty string."""

    steps: tuple[Step, ...]
    environment: tuple[str, ...]
    doubt: str
    empty: bool
    """There is no statement in it."""


class _DoubtError(Exception):
    """It is not certain how PowerShell reads it."""


def read(script: str) -> Read:
    """Take a script apart. Never raises, whatever the text is."""
    reader = _Reader(script)
    try:
        reader.statements(end="")
        doubt = ""
    except _DoubtError as error:
        doubt = str(error)
    return Read(tuple(reader.steps[:COMMAND_LIMIT]), tuple(reader.environment), doubt, not reader.some)


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0
    depth: int = 0
    some: bool = False
    steps: list[Step] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    bound: dict[str, Items] = field(default_factory=dict)
    """What the variable of a loop over literals may be while its body is read."""
    fed: Value = None
    """The expression that was read last, which may begin a pipeline."""
    turned: int = 0

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
            raise _DoubtError(why)
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
            raise _DoubtError("It is nested too deeply.")

    # -- statements

    def statements(self, end: str) -> None:
        """Read statements up to `end`, which is left behind; the end of the text where it is empty."""
        self.deeper()
        while True:
            while self.take(pieces.BETWEEN) or self.comment():
                pass
            if self.at >= len(self.text):
                if end:
                    raise _DoubtError("A bracket is not closed.")
                break
            if end and self.next(end):
                self.at += 1
                break
            self.statement()
            self.take(pieces.BLANK)
            self.comment()
            if self.at < len(self.text) and not self.next(";", "\n") and not (end and self.next(end)):
                raise _DoubtError("A part of it belongs to no command.")
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
        if found := self.take(pieces.COUNTED):
            self.variable_to_set(found[1])
            self.body()
            return
        if self.take(pieces.TRY):
            self.body()
            self.need(pieces.CATCH, "What catches an error is not plain.")
            with self.bind("_", None):
                self.body()
            while self.take(pieces.CATCH):
                with self.bind("_", None):
                    self.body()
            return
        if self.take(pieces.FOREACH):
            name = self.need(pieces.LOOP_VARIABLE, "The variable of a loop is not plain.")[1].lower()
            self.variable_to_set(name)
            value = self.pipeline(")")
            self.at += 1
            with self.bind(name, value):
                self.body()
            return
        if found := self.take(pieces.ASSIGNMENT):
            self.variable_to_set(found[1])
        self.pipeline("")

    def condition(self) -> None:
        self.need(pieces.OPEN_PAREN, "A condition is expected.")
        self.pipeline(")")
        self.at += 1
        self.body()

    def body(self) -> None:
        self.need(pieces.OPEN_BLOCK, "A block is expected.")
        self.statements("}")

    @contextmanager
    def bind(self, name: str, value: Value) -> Iterator[None]:
        """Know a variable by the literals it takes, where nothing else in the script gives it a value."""
        before = self.bound.pop(name, None)
        given = (value,) if isinstance(value, Text) else value.values if isinstance(value, Items) else ()
        given = () if len(given) > TURN_LIMIT or not all(isinstance(one, Text) for one in given) else given
        if given and (
            name == "_"
            or len(re.findall(rf"\${name}\b(?:[ \t]*[-+*/%?]*=(?!=)|\+\+|--|[ \t]+in\b)", self.text, re.IGNORECASE)) < 2
        ):
            self.bound[name] = Items(given)
        yield
        self.bound.pop(name, None)
        if before:
            self.bound[name] = before

    def turn(self, name: str) -> Items | None:
        """What the variable of a loop stands for, as long as that is not asked too often."""
        found = self.bound.get(name)
        self.turned += len(found.values) if found else 0
        return found if self.turned <= 2 * TURN_LIMIT else None

    def variable_to_set(self, name: str) -> None:
        if pieces.STEERING.fullmatch(name):
            raise _DoubtError("It sets a variable that may change what a command does.")

    # -- pipelines

    def pipeline(self, end: str) -> Value:
        """Read one pipeline; its value where it is one literal."""
        self.deeper()
        self.take(pieces.SPACE)
        before: list[Step | None] = []
        value: Value = None
        while True:
            if self.next("%", "?") and before:
                before.append(self.command(self.need(pieces.SIGN_NAME, "It is not certain what is called.")[0], before))
            elif name := (before and self.take(pieces.FOREACH_NAME)) or self.take(pieces.NAME):
                before.append(self.command(name[0], before))
            elif not before:
                value = self.fed = self.expression()
                before.append(None)
            else:
                raise _DoubtError("Which command is called is not certain.")
            self.take(pieces.BLANK)
            if not self.take(pieces.PIPE):
                break
            value = None
        if end and not self.next(end):
            self.take(pieces.SPACE)
            if not self.next(end):
                raise _DoubtError("A bracket is not closed.")
        self.depth -= 1
        return value if before == [None] else None

    def command(self, name: str, before: list[Step | None]) -> Step:
        if not before:
            return self.command_of(name, before)
        with self.bind("_", self.fed if before == [None] and name.lower() in _EACH else None):
            return self.command_of(name, before)

    def command_of(self, name: str, before: list[Step | None]) -> Step:
        parts: list[Part] = []
        while True:
            spaced = bool(self.take(pieces.BLANK_SOME))
            if self.blank():
                break
            if not spaced and not (self.next("{") and name in {"%", "?", "foreach"}):
                raise _DoubtError("It is not certain where its words begin and end.")
            if self.comment():
                break
            if self.take(pieces.HARMLESS_REDIRECT):
                continue
            parts.append(self.part(name))
            if len(parts) > WORD_LIMIT:
                raise _DoubtError("There are too many words in one command.")
        step = Step(name, tuple(parts), tuple(before))
        self.steps.append(step)
        if len(self.steps) > COMMAND_LIMIT:
            raise _DoubtError("There are too many commands in one script.")
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
            raise _DoubtError("It is not certain where its words begin and end.")
        return values[0] if len(values) == 1 else Items(tuple(values))

    def simple(self, command: str) -> Value:
        if self.next("{"):
            if command.lower().startswith("get-ad"):
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
            raise _DoubtError("After --% everything is passed on as it is.")
        if pieces.LEAD.fullmatch(word) and self.next("'", '"'):
            quoted = self.primary()
            return Text(word + quoted.text) if isinstance(quoted, Text) else None
        return Text(word, bare=True)

    def block(self) -> Block:
        self.at += 1
        self.statements("}")
        return BLOCK

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
                raise _DoubtError("It uses a type that is not judged.")
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
            raise _DoubtError("It uses a static member that is not judged.")
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
            if len(self.steps) > before:
                value = None
        elif self.take(pieces.OPEN_PAREN):
            value = self.pipeline(")")
            self.at += 1
        else:
            raise _DoubtError("It uses a part of PowerShell's language that is not judged.")
        return None if self.chain() else value

    def chain(self) -> bool:
        """Read members, indexes and the few methods that only compute; whether there were any."""
        some = False
        while True:
            if found := self.take(pieces.MEMBER):
                if found[2]:
                    if found[1].lower() not in pieces.METHODS:
                        raise _DoubtError(f"It calls a method ({found[1][:40]}).")
                    self.arguments()
            elif self.next("["):
                self.at += 1
                self.expression()
                self.need(pieces.CLOSE_INDEX, "A bracket is not closed.")
            else:
                return some
            some = True

    def arguments(self) -> None:
        self.take(pieces.SPACE)
        if not self.next(")"):
            self.expression()
            self.take(pieces.SPACE)
        if not self.next(")"):
            raise _DoubtError("A bracket is not closed.")
        self.at += 1

    def variable(self) -> Value:
        if found := self.take(pieces.ENVIRONMENT):
            return self.of_environment(found[1])
        found = self.need(pieces.VARIABLE, "It uses a variable in a way that is not judged.")
        if self.chain():
            return None
        name = found[1].lower()
        if name in {"true", "false", "null"}:
            return Text("$" + name)
        return self.turn(name) or pieces.KNOWN.get("$" + name)

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
                self.pipeline(")")
                self.at += 1
                more = None
            elif found := self.take(pieces.ENVIRONMENT):
                more = self.of_environment(found[1])
            elif found := self.take(pieces.VARIABLE):
                if self.next(":"):
                    raise _DoubtError("A variable in a string can be read in two ways.")
                more = self.turn(found[1].lower()) or pieces.KNOWN.get("$" + found[1].lower())
            else:
                raise _DoubtError("A string is written in a way that is not judged.")
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
                raise _DoubtError("A table is written in a way that is not judged.")
