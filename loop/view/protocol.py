"""What the driver tells a person, and nothing about how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from loop.pulse import Pulse
from loop.summary import RoundSummary, RunSummary


class Phase(Protocol):
    """A phase in progress."""

    def advance(self, n: int, **stats: float | str) -> None:
        """Count n more units; `stats` are the newest values of what is worth watching, such as a loss."""

    def resume(self, n: int) -> None:
        """Count n units that an earlier process had done."""


class View(Protocol):
    """What the driver tells a person. Called from one thread. Text of models and files may be passed as it is."""

    def banner(self, lines: Sequence[tuple[str, str]]) -> None:
        """Facts about the run as (label, value), before anything starts; a row with an empty label is a sentence."""

    def phase(self, round: int, name: str, total: int, unit: str) -> AbstractContextManager[Phase]:
        """A phase of `total` units (0: unknown) with a plural name (empty: one single call). Phases may overlap."""

    def live(self, pulse: Pulse) -> None:
        """Show the pulse beside the phases from now on."""

    def round_done(self, summary: RoundSummary, initial: RoundSummary) -> None:
        """One more row of the table; round 0, itself the initial one, is the first. Its notes were notices before."""

    def notice(self, sentence: str) -> None:
        """A fact that was tolerated and counted, or a warning."""

    def final(self, summary: RunSummary, folder: Path) -> None:
        """What the run came to, and where everything lies."""

    def close(self) -> None:
        """Leave the terminal as it was; also after an error."""
