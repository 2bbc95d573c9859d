"""The console script: what is asked at every TAB and every prompt is answered before anything heavy is imported.

Whatever else is typed goes to `app`.
"""

from __future__ import annotations

import os
import sys
from typing import Final

COMPLETE: Final = "_CAISEY_COMPLETE"
"""Set by the shells' completion scripts: `complete_bash`, or `source_bash` for the script itself."""


def main() -> None:
    """The console script."""
    raise SystemExit(_quickly() if COMPLETE in os.environ else _prompt())


def _quickly() -> int:
    from caisey_cli import tab

    return tab.answer(os.environ[COMPLETE])


def _prompt() -> int:
    from caisey_cli import glance

    if (asked := glance.asked(sys.argv[1:])) is not None:
        return glance.tell(asked[0], as_json=asked[1])
    from caisey_cli.app import status

    return status(sys.argv[1:])


if __name__ == "__main__":
    main()
