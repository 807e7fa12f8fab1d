"""The best response against one other: the worst, any other, or the second best (RLHF Workflow's choices)."""

from __future__ import annotations

from loop.pairing.candidates import best, descending, distinct, drawn, extremes, finite, known_scores, length
from loop.pairing.found import NOT_NEGATIVE, Found, Options, Rule, is_pair, pair_of
from loop.verdict import Group, Verdict


def best_worst(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair, of strength 1: the highest score is chosen, the lowest rejected (`max_min`).

    No pair when fewer than two scores are known, when best and worst score the same, or when both hold the same tokens.
    Among equal bests or worsts the smallest response id decides, so permuting the candidates permutes the result. A
    truncated response does not win unless allowed.
    """
    scores = known_scores(group, verdict)
    pair = extremes(group, scores, truncated_may_win)
    return _hard(scores, *pair) if pair else []


def max_random(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """The highest score against any other response by chance (`max_random`); no pair when that one scores the same."""
    scores = known_scores(group, verdict)
    chosen = best(group, scores, truncated_may_win)
    if chosen is None or len(scores) < 2:
        return []
    return _if_better(group, scores, chosen, drawn(group, [i for i in scores if i != chosen]), truncated_may_win)


def best_second(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """The two highest scores of different answers (`max_max`); no pair when they are equal.

    A truncated response above the best that may win is passed over.
    """
    scores = known_scores(group, verdict)
    chosen = best(group, scores, truncated_may_win)
    if chosen is None:
        return []
    order = descending(group, {i: scores[i] for i in distinct(group, scores)})
    lower = [i for i in order if scores[i] <= scores[chosen] and is_pair(group, chosen, i, truncated_may_win)]
    return _if_better(group, scores, chosen, lower[0], truncated_may_win) if lower else []


def length_penalised(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Best and worst by score - `penalty` x characters (`max_min_p`). The pair stands only if the chosen one's own
    score is the higher one too; the margin is the gap of the scores themselves."""
    scores = known_scores(group, verdict)
    penalised = {i: score - float(options["penalty"]) * length(group, i) for i, score in scores.items()}
    pair = extremes(group, penalised, truncated_may_win)
    return _if_better(group, scores, *pair, truncated_may_win) if pair else []


def _if_better(
    group: Group, scores: dict[int, float], chosen: int, rejected: int, truncated_may_win: bool
) -> list[Found]:
    better = scores[chosen] > scores[rejected] and is_pair(group, chosen, rejected, truncated_may_win)
    return _hard(scores, chosen, rejected) if better else []


def _hard(scores: dict[int, float], chosen: int, rejected: int) -> list[Found]:
    numbers = finite(scores)
    return [pair_of(chosen, rejected, 1.0, numbers[chosen] - numbers[rejected])]


SOURCE = "Dong et al. 2024 (RLHF Workflow), arXiv:2405.07863"

BEST_WORST = Rule(name="best_worst", source=SOURCE, of=best_worst, reads="scores")
MAX_RANDOM = Rule(name="max_random", source=SOURCE, of=max_random, reads="scores")
BEST_SECOND = Rule(name="best_second", source=SOURCE, of=best_second, reads="scores")
LENGTH_PENALISED = Rule(
    name="length_penalised",
    source=SOURCE,
    of=length_penalised,
    reads="scores",
    options={"penalty": 0.001},
    bounds={"penalty": NOT_NEGATIVE},
)
