"""What a judge's outcomes come to. Shares of comparisons weigh every case the same, however many it has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from loop.judge_study.asking import Answered, Comparison, Outcome, said
from loop.judge_study.bounds import Values, macro_interval
from loop.judge_study.ties import is_ties, ties_scores, ties_terms
from loop.judges.forging import ERROR, share_interval
from loop.judges.judge import Reply

BINS = 10
"""Of confidence, equally wide, from one half to 1."""

REASONS = 3
CREDIT = {"right": 1.0, "tied": 0.5, "wrong": 0.0}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Cases told right. A tie counts as a draw among equals would, a failure as wrong; `decided` leaves both out (None
    without a decided case). `low` and `high` are the 95 % interval of `accuracy` (Clopper and Pearson). `score` is what
    the macro average takes: the weighted score of RewardBench 2's `Ties` where the judge scores, else the accuracy."""

    subset: str
    cases: int
    accuracy: float
    low: float
    high: float
    decided: float | None
    tied: float
    failed: float
    score: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Comparisons of like confidence (mean, one half to 1), their share of all, and how often they were right."""

    share: float
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All about one judge. None: not asked in such a way, or nothing to measure."""

    judge: str
    version: str
    overall: Accuracy
    subsets: tuple[Accuracy, ...]
    macro: float
    macro_low: float
    macro_high: float
    # 95 %: see `macro_interval`
    consistent: float | None
    # comparisons with the same verdict in both orders
    first_shown: float | None
    # answers about one order that prefer the response shown first; a tie counts half
    calibration_error: float | None
    # expected: mean distance of accuracy from confidence over `bins`
    bins: tuple[Bin, ...]
    longer_right: float | None
    shorter_right: float | None
    # comparisons told right (a tie counts half) whose better response is the longer, the shorter one
    length_correlation: float | None
    # of the preference for the better response with the characters by which it is longer
    questions: int
    failed: int
    cut: int
    # questions that failed, and that lost tokens to the judge's limit
    reasons: Mapping[str, int] = field(default_factory=dict)
    # what the most frequent failures say
    seconds: float = 0.0
    rate: float | None = None
    # questions per second
    usage: Mapping[str, float] = field(default_factory=dict)


def figures(judge: str, outcomes: Sequence[Outcome], answered: Answered) -> Figures:
    """Everything that is measured of one judge."""
    comparisons = [one for outcome in outcomes for one in outcome.comparisons]
    groups = by_subset(outcomes)
    low, high = macro_interval([scores_of(name, some) for name, some in groups.items()], ERROR)
    bins = reliability(comparisons)
    subsets = tuple(accuracy(name, some) for name, some in groups.items())
    return Figures(
        judge=judge,
        version=answered.version,
        overall=accuracy("all", outcomes),
        subsets=subsets,
        macro=float(np.mean([one.score for one in subsets])),
        macro_low=low,
        macro_high=high,
        consistent=_share(comparisons, _agrees),
        first_shown=_share(comparisons, _first),
        calibration_error=sum(b.share * abs(b.accuracy - b.confidence) for b in bins) if bins else None,
        bins=bins,
        longer_right=_share([one for one in comparisons if one.longer > 0], lambda one: CREDIT.get(one.said)),
        shorter_right=_share([one for one in comparisons if one.longer < 0], lambda one: CREDIT.get(one.said)),
        length_correlation=_correlation(comparisons),
        questions=len(answered.replies),
        failed=sum(reply.status == "failed" for reply in answered.replies),
        cut=sum(reply.cut > 0 for reply in answered.replies),
        reasons=reasons_of(answered.replies),
        seconds=answered.seconds,
        rate=len(answered.replies) / answered.seconds if answered.seconds > 0 else None,
        usage=dict(answered.usage),
    )


def by_subset(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of each subset, in the order in which subsets first appear."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.case.subset].append(outcome)
    return dict(groups)


def accuracy(subset: str, outcomes: Sequence[Outcome]) -> Accuracy:
    """How many of some cases are told right."""
    n, credit = len(outcomes), sum(outcome.credit for outcome in outcomes)
    low, high = share_interval(credit, n, ERROR)
    all_said = Counter(outcome.said for outcome in outcomes)
    decided = all_said["right"] + all_said["wrong"]
    return Accuracy(
        subset=subset,
        cases=n,
        accuracy=credit / n,
        low=low,
        high=high,
        decided=all_said["right"] / decided if decided else None,
        tied=all_said["tied"] / n,
        failed=all_said["failed"] / n,
        score=scores_of(subset, outcomes).mean,
    )


def credits_of(outcomes: Sequence[Outcome]) -> Values:
    """The credit of each case, `[N]`."""
    return Values(np.array([outcome.credit for outcome in outcomes]))


def scores_of(subset: str, outcomes: Sequence[Outcome]) -> Values:
    """What a subset's score is the mean of: a value of each case, or of each prompt of `Ties`."""
    terms = ties_terms(outcomes) if is_ties(subset) else None
    return credits_of(outcomes) if terms is None else ties_scores(terms)


def reliability(comparisons: Sequence[Comparison]) -> tuple[Bin, ...]:
    """Bins of the confidence max(p, 1 - p) with how often its side was right (Guo et al., arXiv 1706.04599; here two
    classes, so confidence begins at one half). Empty ones are left out."""
    known = [(one.value, one.weight) for one in comparisons if one.value is not None]
    if not known:
        return ()
    value_C, weight_C = np.array(known).T
    confidence_C = np.maximum(value_C, 1.0 - value_C)
    right_C = np.array([CREDIT[said(value)] for value in value_C])
    bin_C = np.minimum(((confidence_C - 0.5) * 2 * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            float(weight_C[inside].sum() / weight_C.sum()),
            float(np.average(confidence_C[inside], weights=weight_C[inside])),
            float(np.average(right_C[inside], weights=weight_C[inside])),
        )
        for inside in (bin_C == at for at in range(BINS))
        if inside.any()
    )


def _share(comparisons: Iterable[Comparison], value: Callable[[Comparison], float | None]) -> float | None:
    """The weighted mean of a value over the comparisons that have one."""
    known = [(found, one.weight) for one in comparisons if (found := value(one)) is not None]
    weight = sum(w for _, w in known)
    return sum(v * w for v, w in known) / weight if weight else None


def _agrees(one: Comparison) -> float | None:
    if one.orders is None or None in one.orders:
        return None
    return float(said(one.orders[0]) == said(one.orders[1]))


def _first(one: Comparison) -> float | None:
    """Of the orders that are known, the share in which the response shown first wins."""
    shown_first, shown_second = one.orders or (None, None)
    wins = [] if shown_first is None else [CREDIT[said(shown_first)]]
    wins += [] if shown_second is None else [1.0 - CREDIT[said(shown_second)]]
    return sum(wins) / len(wins) if wins else None


def _correlation(comparisons: Sequence[Comparison]) -> float | None:
    known = [(one.value, float(one.longer), one.weight) for one in comparisons if one.value is not None]
    if len(known) < 2:
        return None
    value_C, longer_C, weight_C = np.array(known).T
    if np.ptp(value_C) == 0.0 or np.ptp(longer_C) == 0.0:
        return None
    covariance = np.cov(value_C, longer_C, aweights=weight_C)
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def reasons_of(replies: Sequence[Reply]) -> dict[str, int]:
    """What the most frequent failures say, and how often."""
    said_most = Counter(reply.raw[:80] for reply in replies if reply.status == "failed").most_common(REASONS)
    return dict(said_most)
