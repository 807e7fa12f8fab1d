"""The console script: parses the command line and hands the driver its fleets. Heavy imports wait until they are
needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from loop.cli import parser
from loop.errors import RatchetError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    given = parser().parse_args(arguments)
    try:
        if given.multirun:
            from actors.sweep import sweep

            return sweep(given.overrides, given.json)
        from actors.launch import launch, show

        return show(given.overrides) if given.cfg else launch(given.overrides, given.json)
    except RatchetError as error:
        print(f"ratchet: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ratchet: interrupted", file=sys.stderr)
        return INTERRUPTED
