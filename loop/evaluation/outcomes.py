"""Outcomes: for each held-out prompt, with what probability a policy's answer is better than another policy's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean

from loop.records import Judgement

Scores = Mapping[str, Sequence[float | None]]
"""By prompt the scores of a policy's answers; None and NaN are holes, minus infinity is a veto."""


def outcomes_from_scores(candidate: Scores, opponent: Scores) -> dict[str, float]:
    """By prompt the mean over all pairs (candidate's answer, opponent's answer) of 1 where the candidate's score is
    higher, 1/2 where they are equal and 0 where it is lower. A prompt without a pair of known scores is left out."""
    outcomes: dict[str, float] = {}
    for prompt_id, scores in candidate.items():
        pairs = list(product(_known(scores), _known(opponent.get(prompt_id, ()))))
        if pairs:
            outcomes[prompt_id] = fmean(0.5 + 0.5 * ((ours > theirs) - (ours < theirs)) for ours, theirs in pairs)
    return outcomes


def outcomes_from_comparisons(judgements: Iterable[Judgement], candidate_of: Mapping[str, bool]) -> dict[str, float]:
    """By prompt the mean over all pairs (candidate's answer, opponent's answer) of the probability that the candidate's
    is better, as the judge gave it: a tie is 1/2.

    `candidate_of`: by response id whether the answer is the candidate's (True) or the opponent's (False); judgements of
    anything but one answer of each say nothing here and are passed over. Repeats are averaged, then both orders of a
    pair, so that a judge that only sees the position comes to 1/2; where one order failed or was never asked, the
    other one serves. A judgement given twice, by its id, counts once. A prompt without a known pair is left out.
    """
    values: dict[str, dict[tuple[str, str], dict[bool, list[float]]]] = defaultdict(dict)
    for judgement in {one.judgement_id: one for one in judgements}.values():
        sides = [candidate_of.get(one) for one in judgement.response_ids]
        if sorted(map(str, sides)) != ["False", "True"] or judgement.status == "failed" or judgement.value is None:
            continue
        first = bool(sides[0])
        ours, theirs = judgement.response_ids if first else reversed(judgement.response_ids)
        orders = values[judgement.prompt_id].setdefault((ours, theirs), {})
        orders.setdefault(first, []).append(judgement.value if first else 1.0 - judgement.value)
    return {
        prompt_id: fmean(fmean(map(fmean, orders.values())) for orders in pairs.values())
        for prompt_id, pairs in values.items()
    }


def _known(scores: Sequence[float | None]) -> list[float]:
    return [score for score in scores if score is not None and not math.isnan(score)]
