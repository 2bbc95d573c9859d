"""What the programs that run by themselves say of their work: a line each on standard error, for people or as JSON.

A line has a time, a level, an event's name and identifiers. It has no body, no command and no secret, and that does not
hang on whoever writes it: of a fault, a line tells the type and the place; its text only where it is the system's or
Caisey's own. What comes from elsewhere is escaped, and no line ends before its end.

As JSON, one object a line: `time` (RFC 3339, UTC), `level`, `event`, `message` where there is more to say, and
identifiers by their names. Names of events are dotted, a thing and what became of it: `connection.opened`.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from caisey_core.errors import CaiseyError, UsageError

_EVENT: Final = "caisey_event"
_IDS: Final = "caisey_ids"
_OWN: Final = frozenset({"time", "level", "event", "message"})
_PLACES: Final = 8
"""Innermost calls that are told of a fault."""
_LONG: Final = 512
"""Characters of one value."""
LIMIT: Final = 128 * 1024
"""Bytes of a log file before it becomes the older one (`.1`), of which there is one."""


class Format(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """From which level on lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Teller:
    """Tells of one module's events. Identifiers are words or numbers."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)

    def debug(self, event: str, say: str = "", **ids: object) -> None:
        """Of use only when something is looked for."""
        self._tell(logging.DEBUG, event, say, ids)

    def info(self, event: str, say: str = "", **ids: object) -> None:
        """As it should be."""
        self._tell(logging.INFO, event, say, ids)

    def warning(self, event: str, say: str = "", **ids: object) -> None:
        """It goes on, and somebody should know."""
        self._tell(logging.WARNING, event, say, ids)

    def error(self, event: str, say: str = "", *, fault: BaseException | None = None, **ids: object) -> None:
        """Something was not done. `fault`: why, where that was not foreseen."""
        self._tell(logging.ERROR, event, say, ids, fault)

    def _tell(
        self, level: int, event: str, say: str, ids: dict[str, object], fault: BaseException | None = None
    ) -> None:
        if self._log.isEnabledFor(level):
            self._log.log(level, "%s", say, exc_info=fault, extra={_EVENT: event, _IDS: ids})


def set_up(shape: Format = Format.TEXT, level: Level = Level.WARNING, file: Path | None = None) -> None:
    """Has every line of this process written to standard error, or to a file that bounds itself.

    Raises `UsageError` where that cannot be written.
    """
    handler = _to_file(file) if file is not None else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if shape is Format.JSON else _Text())
    logging.basicConfig(handlers=[handler], level=level.value.upper(), force=True)


def _to_file(file: Path) -> logging.Handler:
    from logging.handlers import RotatingFileHandler  # here: it brings pickle, which no command needs

    logging.raiseExceptions = False  # a full disk would be told on standard error, once for each line
    try:
        return RotatingFileHandler(file, maxBytes=LIMIT, backupCount=1, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"The log {file} cannot be written: {error.strerror}. Nothing was started.") from error


def structured() -> bool:
    """Whether lines are written as JSON."""
    return any(isinstance(handler.formatter, _Json) for handler in logging.getLogger().handlers)


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower(), "event": _event(record)}
        if message := record.getMessage():
            line["message"] = message[:_LONG]
        return json.dumps(line | {name: value for name, value in _ids(record).items() if name not in _OWN})


class _Text(logging.Formatter):
    """Time, level, what is the case, and identifiers in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage() or _event(record)
        ids = " ".join(f"{name}={_word(value)}" for name, value in _ids(record).items())
        return f"{_time(record)} {record.levelname} {_inert(said)}{f' [{ids}]' if ids else ''}"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> str:
    """A library's lines have no event but where they come from."""
    return str(getattr(record, _EVENT, record.name))


def _ids(record: logging.LogRecord) -> dict[str, Any]:
    given: dict[str, object] = getattr(record, _IDS, {})
    ids: dict[str, Any] = {
        name: value if isinstance(value, bool | int | float) else str(value)[:_LONG]
        for name, value in given.items()
        if value is not None and value != ""
    }
    error = record.exc_info[1] if record.exc_info else None
    return ids | _fault(error) if error is not None else ids


def _fault(error: BaseException) -> dict[str, str]:
    """An error's type and place. Its own words may be a peer's, or hold what was being looked at."""
    told = {"fault": type(error).__name__}
    if isinstance(error, OSError) and error.strerror:
        told["why"] = error.strerror
    elif isinstance(error, CaiseyError) or type(error).__module__ == "sqlite3":
        told["why"] = str(error)[:_LONG]
    calls = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    told["at"] = " < ".join(f"{each.filename.rpartition('/')[2]}:{each.lineno} {each.name}" for each in reversed(calls))
    return told


def _word(value: object) -> str:
    """As it is where it is one plain word, else quoted, with everything escaped that does not stand still."""
    text = str(value)
    return text if text.isprintable() and text and " " not in text else json.dumps(text)


def _inert(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)
