"""The console script: what is asked at every TAB and every prompt is answered before anything heavy is imported.

So is a view that is simply asked for: its frame is on the screen before typer would have been imported (`viewing`). A
plain `run` does without typer, too (`running`).
Whatever else is typed goes to `app`, started without looking for garbage in what it imports: that stays until the
command ends, and collecting as often as Python does takes a tenth of the time to start. Nor is it gone through at the
end, which takes another fifth: it goes with the process.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Final

COMPLETE: Final = "_CAISEY_COMPLETE"
"""Set by the shells' completion scripts: `complete_bash`, or `source_bash` for the script itself."""

INTERRUPTED: Final = 130
"""`output.INTERRUPTED`, known before anything is imported."""

OBJECTS: Final = 100_000
"""New objects between two collections of the youngest (Python's own: 700); what a command imports is fewer."""


def main() -> None:
    """The console script."""
    _stand_in()
    try:
        status = _quickly() if COMPLETE in os.environ else _prompt()
    except KeyboardInterrupt:  # Ctrl-C before there was anything to stop
        status = INTERRUPTED
    gc.freeze()
    raise SystemExit(status)


def _stand_in() -> None:
    """Where a standard stream is closed (`2>&-`), the next file to be opened, a journal, would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:
                pass
            if opened > number:  # somebody has the number: it is theirs
                os.close(opened)
            setattr(sys, name, open(os.devnull, "r+" if number == 0 else "w"))  # noqa: SIM115, PTH123


def _quickly() -> int:
    from caisey_cli import tab

    return tab.answer(os.environ[COMPLETE])


def _prompt() -> int:
    words = sys.argv[1:]
    if words[:1] == ["status"]:
        from caisey_cli import glance

        if (asked := glance.asked(words)) is not None:
            return glance.tell(asked[0], as_json=asked[1])
    gc.set_threshold(OBJECTS, 10, 10)
    if words[:1] == ["connect"]:
        from caisey_cli import viewing
        from caisey_cli.home import is_this_machine

        if (typed := viewing.read(words)) is not None and not is_this_machine(typed["endpoint"]):
            from caisey_cli.ending import ended

            return ended(lambda: viewing.connect(typed))
    if words[:1] == ["run"]:
        from caisey_cli import running
        from caisey_cli.home import is_this_machine

        if (ran := running.read(words)) is not None and not is_this_machine(ran[0]["endpoint"]):
            from caisey_cli.ending import ended

            return ended(lambda: running.run(*ran))
    from caisey_cli.app import status

    return status(words)


if __name__ == "__main__":
    main()
