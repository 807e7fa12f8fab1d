"""What answering has cost a judge with a model of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass
class Tally:
    """Sums since the start. `cut` and `refused` count questions: those that lost tokens to the input limit, and those
    that were too long; `prompt_tokens` are those that the model read."""

    questions: int = 0
    cut: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0

    def usage(self) -> dict[str, float]:
        """As `Judge.usage`."""
        return asdict(self)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Adds the block's time."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - started
