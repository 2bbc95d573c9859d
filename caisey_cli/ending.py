"""The end of every command: the one place where errors become exit statuses.

Statuses 0-249 belong to remote commands, so whatever fails here ends with one of `caisey_core.errors.Exit`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from caisey_cli import output
from caisey_core.errors import CaiseyError, Exit


def ended(run: Callable[[], int]) -> int:
    """Runs a command; its exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        result = run()
        sys.stdout.flush()
    except CaiseyError as error:
        return output.fail(error)
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except BrokenPipeError:
        return _nobody_reads()
    except SystemExit as left:
        # typer ends the program by itself on a closed pipe; what matters here is why.
        if isinstance(left.__context__, BrokenPipeError):
            return _nobody_reads()
        return left.code if isinstance(left.code, int) else Exit.USAGE
    except Exception as error:  # noqa: BLE001  (whatever it is, it is told as a sentence and a status)
        return output.bug(error)
    return result


def _nobody_reads() -> int:
    """Whoever read stdout has gone: the rest is thrown away, also what the interpreter flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = sys.__stdout__ or sys.stdout
    return output.PIPE_CLOSED
