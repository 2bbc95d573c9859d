"""What a home knows, in one small file that TAB and a shell's prompt read without anything else being imported.

It is a convenience, written by whichever command has read the journal anyway (`remembering`): what it lacks can be
typed, and nothing is decided by it. Its texts are inert; quoting them is the reader's matter. Only the standard
library's lightest modules are imported here.
"""

from __future__ import annotations

import os
from typing import Any, Final

FILE: Final = "known.json"
VERSION: Final = 1
VARIABLE: Final = "CAISEY_HOME"
LOCAL: Final = "local"
"""The home of this machine's own workspace, in the other one."""
LIMIT: Final = 4 * 1024 * 1024
_ASK: Final = [str, int, bool, str]


def directory(option: str | None = None) -> str:
    """The home that was asked for, else `CAISEY_HOME`, else the usual one."""
    named = option or os.environ.get(VARIABLE)
    return os.path.expanduser(named or "~/.local/share/caisey")  # noqa: PTH111  (pathlib is slow to import)


def read(home: str) -> dict[str, Any]:
    """What was kept; nothing where there is no such file, or one that cannot be read or is of another version."""
    import json

    try:
        with open(f"{home}/{FILE}", "rb") as file:  # noqa: PTH123
            if os.fstat(file.fileno()).st_size > LIMIT:  # nobody of ours wrote that
                return {}
            found = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and found.get("v") == VERSION else {}


def everything(option: str | None = None) -> dict[str, Any]:
    """What the home that is meant knows, and what this machine's own workspace beside it does."""
    home = directory(option)
    first, own = read(home), read(f"{home}/{LOCAL}")
    if not (first and own):
        return first or own
    lists = {name: texts(first, name) + texts(own, name) for name in ("endpoints", "clients")}
    theirs = [found["sessions"] for found in (first, own) if isinstance(found.get("sessions"), dict)]
    unsent = number(first, "unsent") + number(own, "unsent")
    return (
        first | lists | {"sessions": {log: each for found in theirs for log, each in found.items()}, "unsent": unsent}
    )


def keep(home: str, known: dict[str, Any]) -> None:
    """Keeps it, whole or not at all, for its owner only. Raises `OSError`."""
    import json

    temporary = f"{home}/{FILE}.{os.getpid()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps({"v": VERSION} | known).encode())
        os.replace(temporary, f"{home}/{FILE}")  # noqa: PTH105
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise


def texts(known: dict[str, Any], name: str) -> list[str]:
    """A list of texts of it, whatever became of the file."""
    found = known.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def number(known: dict[str, Any], name: str) -> int:
    """A number of it, or 0."""
    found = known.get(name)
    return found if isinstance(found, int) else 0


def sessions(known: dict[str, Any]) -> list[dict[str, Any]]:
    """The sessions, the newest first."""
    found = known.get("sessions")
    return [each for each in found.values() if isinstance(each, dict)] if isinstance(found, dict) else []


def questions(session: dict[str, Any]) -> list[tuple[str, str]]:
    """What is asked in a session and open: code, words."""
    rows = session.get("questions")
    rows = rows if isinstance(rows, list) else []
    return [(row[0], row[1]) for row in rows if isinstance(row, list) and [type(each) for each in row] == [str, str]]


def asks(session: dict[str, Any]) -> list[tuple[str, int, bool, str]]:
    """What waits for another member: code, until when (ms), whether this member may approve it, words.

    In a session; of the workspace itself (its changes), where it is given all that is known.
    """
    rows = session.get("asks")
    rows = rows if isinstance(rows, list) else []
    shaped = [each for each in rows if isinstance(each, list) and [type(part) for part in each] == _ASK]
    return [(code, until, yours, words) for code, until, yours, words in shaped]
