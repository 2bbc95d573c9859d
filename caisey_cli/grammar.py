"""The grammar that TAB goes by, made from the commands themselves: `make completions` writes it."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer

from caisey_cli import completions
from caisey_cli.app import TABLE, Table, build, rows


def made() -> dict[str, Any]:
    """See `tab.Node`."""
    table: Any = typer.main.get_command(build())
    assert isinstance(table, Table)  # noqa: S101
    tree: dict[str, Any] = _node(table, "") | {"commands": {}}
    for part in TABLE.values():
        for row in part:
            group, _, inner = row.name.partition(" ")
            command: Any = table.get_command(None, group)  # type: ignore[arg-type]
            if inner:
                within = tree["commands"].setdefault(group, _node(command, rows()[row.name].help) | {"commands": {}})
                within["commands"][inner] = _node(command.commands[inner], row.help)
            else:
                tree["commands"][row.name] = _node(command, row.help)
    return tree


def _node(command: Any, help_: str) -> dict[str, Any]:
    context = typer.Context(command)
    options, about, arguments = {"--help": None}, {"--help": "Show what it does."}, []
    for each in command.params:
        flag = bool(getattr(each, "is_flag", False))
        if each.param_type_name == "argument":
            arguments.append(_kind(each, context))
            continue
        for name in [*each.opts, *each.secondary_opts]:
            options[name] = None if flag else _kind(each, context)
            about[name] = each.help or ""
    return {"help": help_, "options": options, "about": about, "arguments": arguments}


def _kind(parameter: Any, context: Any) -> Any:
    """Choices as a list, a kind of names as its word, else nothing that could be offered."""
    with completions.asked_for_kinds():
        offered = [str(each.value) for each in parameter.shell_complete(context, "") if each.type != "file"]
    if len(offered) == 1 and offered[0] in completions.KINDS:
        return offered[0]
    return offered or ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(made(), indent=1, sort_keys=False) + "\n")
