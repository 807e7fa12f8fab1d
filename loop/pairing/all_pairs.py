"""All pairs with a clear gap (DNO), and the top half against the bottom half (UPO)."""

from __future__ import annotations

from itertools import product

from loop.pairing.candidates import by_id, descending, finite, known_scores
from loop.pairing.found import NOT_NEGATIVE, Found, Options, Rule, is_pair, pair_of
from loop.records import Response
from loop.verdict import Group, Verdict
from loop.verdicts import VETO

NGRAM = 4
"""Tokens in a row by which repetition is told."""


def all_pairs(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every pair whose chosen response scores at least `min_score` and beats the rejected one by at least `gap`, or by
    `student_gap` where the chosen one is the policy's own sample and not a teacher's (purpose `teacher`).

    A sample whose share of repeated n-grams is above `max_repetition` is a negative whatever the judge said: it wins
    nothing and counts as `worst_score`, the foot of the judge's scale. A vetoed response is below that, and below every
    other by any gap. Pairs of responses in the order of their ids.
    """
    scores = known_scores(group, verdict)
    repetitive = {i for i in scores if repetition(group.responses_K[i]) > float(options["max_repetition"])}
    scores |= {i: float(options["worst_score"]) for i in repetitive if scores[i] != VETO}
    numbers = finite(scores)
    pairs = []
    for i, j in product(by_id(group, scores), repeat=2):
        needed = float(options["gap" if group.responses_K[i].purpose == "teacher" else "student_gap"])
        good = i not in repetitive and scores[i] >= float(options["min_score"])
        better = good and scores[i] > scores[j] and scores[i] - scores[j] >= needed
        if better and is_pair(group, i, j, truncated_may_win):
            pairs.append(pair_of(i, j, 1.0, numbers[i] - numbers[j]))
    return pairs


def repetition(response: Response) -> float:
    """The share of a sample's n-grams of tokens that stood there before, in [0, 1); 0 for a teacher's response and for
    one shorter than an n-gram."""
    tokens_T = response.tokens_T
    grams = list(zip(*(tokens_T[k:] for k in range(NGRAM)), strict=False))
    return 1.0 - len(set(grams)) / len(grams) if grams and response.purpose != "teacher" else 0.0


def halves(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every response of the top half against every one of the bottom half, best chosen first; of an odd number the
    middle one is in neither. Equal scores give no pair."""
    scores = finite(known_scores(group, verdict))
    order = descending(group, scores)
    half = len(order) // 2
    return [
        pair_of(i, j, 1.0, scores[i] - scores[j])
        for i, j in product(order[:half], order[len(order) - half :])
        if scores[i] > scores[j] and is_pair(group, i, j, truncated_may_win)
    ]


ALL_PAIRS = Rule(
    name="all_pairs",
    source="Rosset et al. 2024 (DNO-Prct), arXiv:2404.03715; its measure of repetition is not published",
    of=all_pairs,
    reads="scores",
    options={"min_score": 5.0, "gap": 2.0, "student_gap": 1.0, "max_repetition": 1.0, "worst_score": 0.0},
    bounds={"gap": NOT_NEGATIVE, "student_gap": NOT_NEGATIVE, "max_repetition": (0.0, 1.0)},
)
HALVES = Rule(
    name="halves",
    source="Wang et al. 2024 (UPO), arXiv:2409.11212, whatever their certainty",
    of=halves,
    reads="scores",
)
