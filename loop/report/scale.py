"""Axes: where a value lies on a plot, and which values are worth a label."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from loop.view.text import number

TICKS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from `low` to `high` onto positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def extent(values: Iterable[float], floor: float | None = None, ceiling: float | None = None) -> tuple[float, float]:
    """The least and the largest of the values with some air around, never equal; not beyond floor and ceiling."""
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    air = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - air, high + air
    if floor is not None:
        low = max(low, floor)
    if ceiling is not None:
        high = min(high, ceiling)
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def ticks(low: float, high: float, whole: bool = False, most: int = TICKS) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten) inside an extent, about `most`; whole ones for rounds."""
    step = (high - low) / most
    size = 10.0 ** math.floor(math.log10(step))
    step = min((size * factor for factor in (1, 2, 5, 10)), key=lambda one: abs(math.log(one / step)))
    if whole:
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    return [round(at * step, 10) for at in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_label(value: float, percent: bool, step: float) -> str:
    """A value beside its tick."""
    if percent:
        return f"{100 * value:.{0 if step >= 0.0099 else 1}f}%"
    if step >= 1 and abs(value) < 1e6:
        return f"{value:.0f}"
    if 1e-4 <= step < 1:
        return f"{value:.{-math.floor(math.log10(step) + 1e-9)}f}"
    return number(value)
