"""Values of typed words: the same as typer's own, and without what typer loads for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer import BadParameter
from typer._coercion import build_runtime_param
from typer.core import _TyperParameter

from caisey_cli.app import rows
from caisey_cli.coercing import Light
from tests.cli.memory import home
from tests.cli.test_app import _command, imported
from tests.cli.workspace import Workspace

WORDS = (
    "",
    "x",
    "0",
    "5",
    "007",
    "-1",
    "+1",
    " 5",
    "5.0",
    "\u0665",
    "9" * 20,
    "10m",
    "4k",
    "9z",
    "resolved",
    "Resolved",
    "text",
    "technician",
    "/",
    "/dev/null",
    "a\x1bb",
)


def outcome(runtime: Any, word: str, parameter: Any, context: Any) -> tuple[str, object]:
    try:
        return "value", runtime.coerce(word, param=parameter, ctx=context)
    except BadParameter as error:
        return "error", error.format_message()


@pytest.mark.parametrize("name", rows())
def test_every_parameter_of_every_command_becomes_what_typer_makes_of_it(name: str) -> None:
    command = _command(name)
    context = command.make_context(name, [], resilient_parsing=True)
    for each in command.params:
        assert isinstance(each, _TyperParameter)
        descriptor = each.type_descriptor
        light = Light(descriptor.parameter_info, descriptor.annotation, descriptor)
        theirs = build_runtime_param(descriptor)
        for word in WORDS:
            ours = outcome(light, word, each, context)
            assert ours == outcome(theirs, word, each, context), (each.name, word)
        assert light.coerce(None, param=each, ctx=context) == theirs.coerce(None, param=each, ctx=context)


def test_a_plain_run_loads_what_it_needs_and_no_more(tmp_path: Path) -> None:
    place = home(tmp_path, Workspace(), "ana")
    words = ("run", "front-desk-03", "--home", str(place.path), "--patience", "1s", "--", "ls")
    imported(*words)  # the first one sets the journal up
    loaded = imported(*words)
    assert "websockets.asyncio.client" in loaded
    spared = ("pydantic", "rich", "textual", "httpx", "keyring", "tree_sitter", "sqlite_utils", "caisey_core.policy")
    assert [each for each in sorted(loaded) if each.startswith(spared)] == []


def test_a_session_is_shown_without_what_turns_unusual_words_into_values(tmp_path: Path) -> None:
    place = home(tmp_path, Workspace(), "ana")
    for words in (("show", "last", "--lines", "5"), ("export", "last", "--format", "markdown")):
        loaded = imported(*words, "--home", str(place.path))
        assert "caisey_cli.shelf" in loaded
        assert [each for each in sorted(loaded) if each.startswith(("pydantic", "websockets", "asyncio", "rich"))] == []
