"""Two judges on the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.judge_study.asking import Outcome
from loop.judge_study.bounds import Values, macro_interval
from loop.judge_study.figures import by_subset, credits_of, scores_of
from loop.judges.forging import ERROR


@dataclass(frozen=True, slots=True)
class Difference:
    """The first judge's accuracy less the second's on some cases, with a 95 % interval of the mean of what each case
    differs by. Of `Ties` scores are compared, where both judges score."""

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
    overall = credits_of(first).less(credits_of(second))
    ours, theirs = by_subset(first), by_subset(second)
    by_name = {name: _compared(name, ours[name], theirs[name]) for name in ours}
    macro = sum(one.mean for one in by_name.values()) / len(by_name)
    return SideBySide(
        overall=Difference("all", len(first), overall.mean, *overall.interval(ERROR)),
        macro=Difference("macro average", len(first), macro, *macro_interval(list(by_name.values()), ERROR)),
        subsets=tuple(
            Difference(name, len(ours[name]), one.mean, *one.interval(ERROR)) for name, one in by_name.items()
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


def _compared(subset: str, first: Sequence[Outcome], second: Sequence[Outcome]) -> Values:
    """What the judges differ by in each case, or in each prompt of `Ties` where both score."""
    ours, theirs = scores_of(subset, first), scores_of(subset, second)
    if len(ours.values_N) == len(theirs.values_N):
        return ours.less(theirs)
    return credits_of(first).less(credits_of(second))
