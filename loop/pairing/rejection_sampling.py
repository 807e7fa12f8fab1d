"""Statistical rejection sampling (RSO): pairs among responses that stand for samples of the optimal policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from loop.pairing.candidates import by_id, distinct, finite, known_scores, uniform
from loop.pairing.found import COUNT, Found, Options, Rule, is_pair, pair_of
from loop.verdict import Group, Verdict


def rejection_sampling(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Pairs of strength 1 among `count` accepted responses, in the order of their ids; the higher score is chosen.

    `pairs: first_round` gives disjoint pairs of neighbours (8 responses give 4); with `tournament` winners play on
    until one is left (8 give 7), an odd one out goes on without a match. Equal scores give no pair.
    """
    scores = finite(known_scores(group, verdict))
    entrants = by_id(group, accepted(group, scores, float(options["beta"]), int(options["count"])))
    matches = first_round(entrants)
    if options["pairs"] == "tournament":
        matches = []
        while len(entrants) > 1:
            matches += first_round(entrants)
            winners = [max(match, key=lambda i: scores[i]) for match in first_round(entrants)]
            entrants = winners + entrants[2 * len(winners) :]
    ordered = [sorted(match, key=lambda i: -scores[i]) for match in matches]
    return [
        pair_of(i, j, 1.0, scores[i] - scores[j])
        for i, j in ordered
        if scores[i] > scores[j] and is_pair(group, i, j, truncated_may_win)
    ]


def accepted(group: Group, scores: Mapping[int, float], beta: float, count: int) -> list[int]:
    """At most `count` of the scored responses without replacement, in the order in which they were accepted (the
    paper's algorithm 1).

    Each sweep over those that remain accepts one with probability exp((r - r_max) / beta), r_max being the highest
    score at the sweep's beginning. Responses with the same tokens are one. Chance follows from the response ids, and
    so does the order of a sweep.
    """
    remaining, taken, sweep = distinct(group, scores), list[int](), 0
    while remaining and len(taken) < count:
        chances = acceptance([scores[i] for i in remaining], beta)
        drawn = [uniform("accept", group.responses_K[i].response_id, sweep) for i in remaining]
        taken += [i for i, u, chance in zip(remaining, drawn, chances, strict=True) if u < chance]
        remaining = [i for i in remaining if i not in taken]
        sweep += 1
    return taken[:count]


def acceptance(scores: Sequence[float], beta: float) -> list[float]:
    """Probability with which each is accepted in one sweep: exp((r - r_max) / beta). A large `beta` keeps all, a small
    one the best."""
    highest = max(scores)
    return [math.exp((score - highest) / beta) for score in scores]


def first_round(entrants: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbours, two by two; an odd one out stays alone."""
    return list(zip(entrants[::2], entrants[1::2], strict=False))


REJECTION_SAMPLING = Rule(
    name="rejection_sampling",
    source="Liu et al. 2023 (RSO), arXiv:2309.06657",
    of=rejection_sampling,
    reads="scores",
    options={"beta": 0.5, "count": 8, "pairs": "first_round"},
    choices={"pairs": ("first_round", "tournament")},
    bounds={"beta": (1e-9, float("inf")), "count": COUNT},
)
