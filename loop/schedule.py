"""The learning rate as a pure function of how far a schedule has come."""

from __future__ import annotations

import math

from loop.config import Schedule, Span


def progress(span: Span, round: int, rounds: int, step: int, steps: int) -> float:
    """Progress in [0, 1] of optimiser step `step` (from 0) of `steps` in round `round` (from 1) of `rounds`.

    A step stands for the middle of its share, so that no step, also the only one of a schedule, has a learning rate
    of zero.
    """
    within = (step + 0.5) / steps
    if span is Span.per_round:
        return within
    return min((round - 1 + within) / rounds, 1.0)


def learning_rate(peak: float, progress: float, warmup: float, schedule: Schedule) -> float:
    """Learning rate at `progress` in [0, 1]: linear from zero over the share `warmup`, then constant or down to zero
    at 1."""
    if progress < warmup:
        return peak * progress / warmup
    rest = (progress - warmup) / (1 - warmup) if warmup < 1 else 1.0
    match schedule:
        case Schedule.constant:
            return peak
        case Schedule.linear:
            return peak * (1 - rest)
        case Schedule.cosine:
            return peak * 0.5 * (1 + math.cos(math.pi * rest))
