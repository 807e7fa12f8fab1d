"""Charts that a round is drawn as, from tables of numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loop.records import CheckRow

BINS = 20
PROBABILITY_BINS = 10


@dataclass(frozen=True, slots=True)
class Chart:
    """`rows` with `columns`, of which `y` is drawn over `x`; lines of different `stroke` are apart."""

    name: str
    kind: Literal["bar", "line"]
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]
    x: str
    y: str
    stroke: str | None = None


def length_chart(name: str, lengths: Sequence[int]) -> Chart | None:
    """How many answers have how many tokens, in at most 20 bins of equal width; None without answers."""
    if not lengths:
        return None
    width = max(lengths) // BINS + 1
    counts = [0] * (max(lengths) // width + 1)
    for length in lengths:
        counts[length // width] += 1
    labels = [str(at) if width == 1 else f"{at * width}-{at * width + width - 1}" for at in range(len(counts))]
    rows = tuple(zip(labels, counts, strict=True))
    return Chart(name, "bar", "Length of answers in tokens", ("tokens", "answers"), rows, "tokens", "answers")


def reliability_chart(rows: Sequence[CheckRow]) -> Chart | None:
    """How often the response that the judge prefers with some probability is the better one, from the questions of its
    check whose answers are known: one point for each tenth of probability, and the diagonal on which a calibrated judge
    lies. None without such questions.

    A question tells P(first is better) and whether the first is; failed ones are left out, ties count as one half.
    """
    told = [
        (0.5 if row.value is None else row.value, float(row.better == 0))
        for row in rows
        if row.better is not None and row.status != "failed"
    ]
    if not told:
        return None
    points = []
    for at in range(PROBABILITY_BINS):
        here = [one for one in told if min(int(one[0] * PROBABILITY_BINS), PROBABILITY_BINS - 1) == at]
        if here:
            stated, right = (sum(column) / len(here) for column in zip(*here, strict=True))
            points.append((stated, right, "judge", len(here)))
    diagonal = ((0.0, 0.0, "calibrated", 0), (1.0, 1.0, "calibrated", 0))
    columns = ("stated", "observed", "line", "questions")
    title = "Judge calibration: P(first is better), stated and observed"
    return Chart("calibration", "line", title, columns, (*points, *diagonal), "stated", "observed", "line")
