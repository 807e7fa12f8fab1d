"""Two judges on the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loop.judge_study.asking import Outcome
from loop.judge_study.figures import by_subset, credits_of, scores_of
from loop.judge_study.resampling import Array, interval, mean_draws


@dataclass(frozen=True, slots=True)
class Difference:
    """The first judge's accuracy less the second's on some cases, with the 95 % interval of a paired bootstrap: both
    judges' accuracies on the same drawn cases. Of `Ties` scores are compared, where both judges score."""

    subset: str
    cases: int
    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Differences overall, of the macro average, and of each subset; and the share of comparisons with the same
    verdict, among those where neither judge failed (each case weighs the same; None without any)."""

    overall: Difference
    macro: Difference
    subsets: tuple[Difference, ...]
    agreement: float | None


def side_by_side(first: Sequence[Outcome], second: Sequence[Outcome]) -> SideBySide:
    """Compare two judges' outcomes of the same cases in the same order."""
    if [outcome.case for outcome in first] != [outcome.case for outcome in second]:
        raise ValueError("the two judges did not see the same cases")
    a, b = credits_of(first), credits_of(second)
    ours, theirs = by_subset(first), by_subset(second)
    compared = {name: _comparable(name, ours[name], theirs[name]) for name in ours}
    draws = [mean_draws(x, name) - mean_draws(y, name) for name, (x, y) in compared.items()]
    means = [float(x.mean() - y.mean()) for x, y in compared.values()]
    return SideBySide(
        overall=Difference(
            "all", len(first), float(a.mean() - b.mean()), *interval(mean_draws(a, "") - mean_draws(b, ""))
        ),
        macro=Difference("macro average", len(first), sum(means) / len(means), *interval(np.mean(draws, axis=0))),
        subsets=tuple(
            Difference(name, len(ours[name]), mean, *interval(drawn))
            for name, mean, drawn in zip(ours, means, draws, strict=True)
        ),
        agreement=agreement(first, second),
    )


def agreement(first: Sequence[Outcome], second: Sequence[Outcome]) -> float | None:
    """See `SideBySide`."""
    same = known = 0.0
    for ours, theirs in zip(first, second, strict=True):
        for one, other in zip(ours.comparisons, theirs.comparisons, strict=True):
            if "failed" not in (one.said, other.said):
                known += one.weight
                same += one.weight * (one.said == other.said)
    return same / known if known else None


def _comparable(subset: str, first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[Array, Array]:
    """Values `[N]` of the same cases, or of the same prompts of `Ties` where both judges score."""
    scores = scores_of(subset, first), scores_of(subset, second)
    return scores if len(scores[0]) == len(scores[1]) else (credits_of(first), credits_of(second))
