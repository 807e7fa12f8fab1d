"""Being terminated is being interrupted."""

from __future__ import annotations

import signal


def terminate_as_interrupt() -> None:
    """From now on SIGTERM raises KeyboardInterrupt in the main thread, as Ctrl-C does, and Ctrl-C does so also where a
    shell started this process with it ignored."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
