"""Experiment tracking besides the ledger: nowhere, or Weights & Biases."""

from __future__ import annotations

from collections.abc import Callable

from loop.config import TrackerConfig, TrackerKind
from loop.tracking.protocol import NullTracker, Tracker

__all__ = ["NullTracker", "Tracker", "open_tracker"]


def open_tracker(config: TrackerConfig, notice: Callable[[str], None]) -> Tracker:
    """The tracker that the configuration names."""
    if config.kind is TrackerKind.none:
        return NullTracker()
    from loop.tracking.wandb_tracker import WandbTracker

    return WandbTracker(config, notice)
