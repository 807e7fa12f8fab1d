"""The console script: parses the command line and hands the driver its fleets. Heavy imports wait until they are
needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from loop.cli import parse
from loop.errors import RatchetError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    given = parse(arguments)
    try:
        if given.cfg:
            from actors.launch import show

            return show(given.overrides, given.multirun)
        if given.multirun:
            from actors.sweep import sweep

            return sweep(given.overrides, given.json)
        from actors.launch import launch

        return launch(given.overrides, given.json)
    except RatchetError as error:
        print(f"ratchet: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ratchet: interrupted", file=sys.stderr)
        return INTERRUPTED
