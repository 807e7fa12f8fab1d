"""What the book tells a tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from loop.learning import LearnReport
from loop.pulse import Pulse
from loop.records import ShardRef
from loop.summary import RoundSummary, RunSummary
from loop.tracking.charts import Chart


class Tracker(Protocol):
    """Where metrics go: `start` first, `finish` last, all called from one thread.

    Whatever is told again, also by another process that goes on with the run, is tracked once.
    """

    def start(self, config: Mapping[str, Any], run_name: str, run_id: str, folder: Path) -> None:
        """Open the run, or go on with the one of the same name and id. Raises: Refused, InfrastructureFailed."""

    def watch(self, pulse: Pulse) -> None:
        """Sample the pulse every few seconds from now on."""

    def learnt(self, round: int, first: int, report: LearnReport) -> None:
        """The optimiser steps of a round, the first of which is step `first` + 1 of the run."""

    def round(self, summary: RoundSummary) -> None:
        """What a round came to: one point of every metric that was measured, alerts, the policy that it promoted."""

    def details(
        self, round: int, examples: Sequence[Mapping[str, Any]], charts: Sequence[Chart], shards: Sequence[ShardRef]
    ) -> None:
        """A table of a round's examples (all rows have the same keys, which are its columns), charts, and the shards
        that it added to the ledger."""

    def finish(self, summary: RunSummary) -> None:
        """Close the run."""


class NullTracker:
    """Tracks nothing."""

    def start(self, config: Mapping[str, Any], run_name: str, run_id: str, folder: Path) -> None:
        """Nothing."""

    def watch(self, pulse: Pulse) -> None:
        """Nothing."""

    def learnt(self, round: int, first: int, report: LearnReport) -> None:
        """Nothing."""

    def round(self, summary: RoundSummary) -> None:
        """Nothing."""

    def details(
        self, round: int, examples: Sequence[Mapping[str, Any]], charts: Sequence[Chart], shards: Sequence[ShardRef]
    ) -> None:
        """Nothing."""

    def finish(self, summary: RunSummary) -> None:
        """Nothing."""
