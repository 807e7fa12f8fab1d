"""The score of RewardBench 2's subset `Ties` (Malik et al., arXiv 2506.01937): several right answers should be level
with each other and above every wrong one.

Cases come in twos of one prompt: `ref:N` with one right answer, `tied:N` with several. Of each prompt count, weighted
as in `process_single_model` of the repository allenai/reward-bench: whether every right answer is above every wrong
one, in the tied case and in the reference case (0.3 each); whether the gap between right and wrong is wider than the
spread of the right ones, in the tied case and for the narrower gap of the two cases (0.2 each); and 0.01 times tanh of
how many times wider that gap is, less 1. So the best score is 1.01.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from loop.judge_study.asking import Outcome
from loop.judge_study.bounds import Array, Values

NAME = "ties"
WEIGHTS = np.array([0.3, 0.3, 0.2, 0.2, 0.01])


def is_ties(subset: str) -> bool:
    """Whether cases of this subset have the score."""
    return subset.lower() == NAME


def ties_terms(outcomes: Sequence[Outcome]) -> Array | None:
    """The five terms of each prompt that has both cases, `[P, 5]`; None where there is none, or where the judge does
    not score: comparisons have no spread. A response whose score failed leaves its case wrong in every way."""
    margins: dict[str, dict[str, tuple[float, float]]] = {"ref": {}, "tied": {}}
    for outcome in outcomes:
        kind, _, prompt = outcome.case.case_id.partition(":")
        if kind in margins and outcome.scores is not None:
            margins[kind][prompt] = _gap_and_spread(outcome.scores, len(outcome.case.chosen))
    prompts = [prompt for prompt in margins["tied"] if prompt in margins["ref"]]
    if not prompts:
        return None
    return np.array([_terms(margins["ref"][prompt][0], *margins["tied"][prompt]) for prompt in prompts])


def ties_scores(terms: Array) -> Values:
    """The weighted score of each prompt, `[P]`, from -0.01 to 1.01; their mean is the subset's."""
    return Values(np.asarray(terms @ WEIGHTS), float(-WEIGHTS[-1]), float(WEIGHTS.sum()))


def _gap_and_spread(scores: Sequence[float | None], right: int) -> tuple[float, float]:
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return -math.inf, 0.0
    return _less(min(known[:right]), max(known[right:])), _less(max(known[:right]), min(known[:right]))


def _less(a: float, b: float) -> float:
    """The difference of two scores, of which vetoed ones are minus infinity and equal."""
    return 0.0 if a == b else a - b


def _terms(reference_gap: float, gap: float, spread: float) -> tuple[float, ...]:
    narrow = min(reference_gap, gap)
    return (gap > 0, reference_gap > 0, gap > spread, narrow > spread, _margin(narrow, spread))


def _margin(gap: float, spread: float) -> float:
    if spread == 0.0:
        return 0.0 if gap == 0.0 else math.copysign(1.0, gap)
    return 0.0 if math.isinf(gap) and math.isinf(spread) else math.tanh(gap / spread - 1.0)
