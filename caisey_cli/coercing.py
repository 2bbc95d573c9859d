"""Typed words -> values, without the validation library that typer loads for it.

typer 0.29 turns every word into a value by a pydantic adapter: 60 ms at the start of each command, for words that are
words already. Texts, paths, whole numbers, choices and whatever has a parser of its own are turned here; everything
else, and what is wrong, is typer's own business still, with typer's own messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param
from typer._param_types import coerce_cli_path
from typer.core import TyperGroup, _TyperParameter

if TYPE_CHECKING:
    from typer._click.core import Command, Context, Parameter

_DIGITS: Final = 16
"""Numbers of fewer digits are turned here."""


@dataclass(frozen=True)
class Light(RuntimeParam):
    """How typer asks for one parameter's value."""

    descriptor: TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Context) -> Any:
        kind = self.annotation
        if self.parameter_info.parser is not None:
            return self.parameter_info.parser(value)
        if kind is Path and isinstance(value, str | Path):
            return coerce_cli_path(Path(value), self.parameter_info, path_type=Path, param=param, ctx=ctx)
        if kind is int and isinstance(value, str) and len(value) < _DIGITS and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(kind, type) and issubclass(kind, StrEnum) and value in list(kind):
            return kind(value)
        if isinstance(kind, type) and isinstance(value, kind) and self._within(value):
            return value
        return build_runtime_param(self.descriptor).coerce(value, param=param, ctx=ctx)

    def _within(self, value: Any) -> bool:
        least, most = self.parameter_info.min, self.parameter_info.max
        return (least is None or least <= value) and (most is None or value <= most)


def lighten(command: Command) -> Command:
    """The same command; its parameters' values, those of `--help` and of its own commands too, are made here."""
    parameters = command.get_params

    def lightened(ctx: Context) -> list[Parameter]:
        found = parameters(ctx)
        for each in found:
            if isinstance(each, _TyperParameter) and each._runtime_param is None:
                descriptor = each.type_descriptor
                each._runtime_param = Light(descriptor.parameter_info, descriptor.annotation, descriptor)
        return found

    command.get_params = lightened  # type: ignore[method-assign]
    for inner in command.commands.values() if isinstance(command, TyperGroup) else ():
        lighten(inner)
    return command
