"""When something with a cadence happens."""

from __future__ import annotations

from loop.config import CheckpointConfig


def is_due(every: int, number: int, rounds: int) -> bool:
    """Whether something done every so many rounds happens in this one; the last round always counts."""
    return number % every == 0 or number == rounds


def saves_in(checkpoint: CheckpointConfig, number: int, rounds: int) -> bool:
    """Whether the learners may write a checkpoint in this round's learn phase."""
    return checkpoint.steps > 0 or is_due(checkpoint.every, number, rounds)
