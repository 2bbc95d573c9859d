"""What a technician wants to run, before it is proposed, and whether it can be recorded and run anywhere."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from caisey_core.environment import absolute
from caisey_core.errors import UsageError
from caisey_core.kinds import BODY_LIMIT, Limits
from caisey_core.record import canonical

LIMITS: Final = Limits(seconds=600, output_bytes=16 * 1024 * 1024)


class Command(Struct, frozen=True):
    """What the technician wants to run: an argument list or a script. No directory: the session's, else the agent's."""

    argv: tuple[str, ...] = ()
    script: str = ""
    directory: str = ""
    limits: Limits = LIMITS
    reason: str = ""


def fit(command: Command, proposed: Struct | None = None) -> None:
    """Raises `UsageError` for what cannot be recorded or run anywhere; `proposed` is the body it would have."""
    words = [command.directory, command.script, command.reason, *command.argv]
    if not (command.script.strip() or (command.argv and command.argv[0])):
        raise UsageError("The command is empty; nothing was proposed.", hint="Type: caisey run ENDPOINT -- COMMAND")
    if any("\0" in word for word in words):
        raise UsageError("The command holds a NUL character, which no program can be given; nothing was proposed.")
    if command.directory and not absolute(command.directory):
        raise UsageError("The directory is not an absolute path; nothing was proposed.")
    try:
        size = len("".join(words).encode() if proposed is None else canonical(proposed))
    except UnicodeEncodeError as error:
        raise UsageError("The command is not UTF-8 text; nothing was proposed.") from error
    if size > BODY_LIMIT:
        raise UsageError(
            f"The command is too long to be shown and approved ({size} bytes); nothing was proposed.",
            hint="Put it into a file on the endpoint and run that.",
        )
