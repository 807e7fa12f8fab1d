"""What a plot shows, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["percent", "number"]


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval where there is one. `crossed`: drawn as a cross beside the line, for a candidate that
    was rejected. `label`: written at the point."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    crossed: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points in one colour and shape, joined by a line; `colour` is its place in the palette."""

    name: str
    points: tuple[Point, ...]
    colour: int


@dataclass(frozen=True, slots=True)
class Curves:
    """Series over shared axes. `key` names the plot inside its page, `level` is a line across at a value of y,
    `diagonal` one where both axes agree. `crosses` says what a crossed point is.
    `from_zero`: the axis of y begins there, so that what hardly changes looks as if it hardly changed."""

    key: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    unit: Unit = "number"
    x_unit: Unit = "number"
    level: float | None = None
    diagonal: bool = False
    crosses: str = "rejected by the gate"
    note: str = ""
    from_zero: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of parts laid end to end, `[P]` in the order of the plot's parts; `mark` is a line at a value."""

    label: str
    parts_P: tuple[float, ...]
    mark: float | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of the same parts, one below the other."""

    key: str
    title: str
    x_label: str
    parts: tuple[str, ...]
    bars: tuple[Bar, ...]
    mark: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of equally wide bins, `[B]`."""

    label: str
    counts_B: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Histograms:
    """Histograms over one axis, one below the other; `low` and `high` are the outer edges of the bins."""

    key: str
    title: str
    x_label: str
    low: float
    high: float
    rows: tuple[Histogram, ...]
    note: str = ""


Plot = Curves | Bars | Histograms
