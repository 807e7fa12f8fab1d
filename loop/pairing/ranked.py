"""Ranked pairing (OSP): responses are ordered by their strength against the baseline, and pairs carry a strength."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise

from loop.config import Plan
from loop.pairing.candidates import descending, length
from loop.pairing.found import NOT_NEGATIVE, Found, Options, Rule, graded_pair, is_pair, pair_of
from loop.pairing.links import pair_strength
from loop.verdict import Group, Verdict
from loop.verdicts import candidates, logit, sigmoid


def ranked(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """All pairs (i above j) with strength t_ij and margin s_i - s_j.

    logit link: sigmoid(logit s_i - logit s_j), exact for a Bradley-Terry judge since the baseline cancels; linear link:
    1/2 + (s_i - s_j) / 2, how strengths enter OSP's objective. `length_penalty` x (characters more than the baseline's)
    is taken off logit s_i. Responses with a hole take no part; pairs at or below `min_strength` (1/2 drops ties), with
    a truncated winner (unless allowed) or with the same tokens on both sides are dropped.
    """
    strengths = strengths_against_baseline(group, verdict, options)
    return _pairs(group, strengths, combinations(descending(group, strengths), 2), options, truncated_may_win)


def ranked_adjacent(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Of the pairs of `ranked`, those of neighbours in the order."""
    strengths = strengths_against_baseline(group, verdict, options)
    return _pairs(group, strengths, pairwise(descending(group, strengths)), options, truncated_may_win)


def best_against_rest(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Of the pairs of `ranked`, those that the best response wins; it is the first in the order that wins any."""
    pairs = ranked(group, verdict, options, truncated_may_win)
    return [pair for pair in pairs if pair.members[0] == pairs[0].members[0]]


def with_baseline(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Each response with the baseline, with its strength s_i as judged: no link is assumed. Where the baseline is the
    stronger one it is chosen, with strength 1 - s_i. The margin is the strength - 1/2, the baseline's strength against
    itself. Pairs at or below `min_strength` are dropped."""
    strengths = strengths_against_baseline(group, verdict, options)
    pairs = [
        pair
        for i, s in strengths.items()
        if i != group.baseline
        for pair in graded_pair(group, i, group.baseline, s, s - 0.5, truncated_may_win)
    ]
    pairs.sort(key=lambda pair: [group.responses_K[i].response_id for i in pair.members])
    return [pair for pair in pairs if pair.strength > float(options["min_strength"])]


def strengths_against_baseline(group: Group, verdict: Verdict, options: Options) -> dict[int, float]:
    """s_i of each candidate where it is known, by position: the probability that it beats the baseline, after the
    length penalty."""
    assert verdict.preferences_KK is not None, "ranked pairing needs preferences"
    baseline, penalty = group.baseline, float(options["length_penalty"])
    known = {i: s for i in candidates(group) if (s := verdict.preferences_KK[i][baseline]) is not None}
    if not penalty:
        return known
    excess = {i: length(group, i) - length(group, baseline) for i in known}
    return {i: sigmoid(logit(s) - penalty * excess[i]) for i, s in known.items()}


def _pairs(
    group: Group,
    strengths: dict[int, float],
    order: Iterable[tuple[int, int]],
    options: Options,
    truncated_may_win: bool,
) -> list[Found]:
    pairs = []
    for i, j in order:
        strength = pair_strength(strengths[i], strengths[j], str(options["link"]))
        if strength > float(options["min_strength"]) and is_pair(group, i, j, truncated_may_win):
            pairs.append(pair_of(i, j, strength, strengths[i] - strengths[j]))
    return pairs


def keeps_ties(options: Options) -> bool:
    """Whether a pair of strength one half is above `min_strength`."""
    return float(options["min_strength"]) < 0.5


SOURCE = "Zhai et al. 2024 (OSP), arXiv:2405.14103; the links and the choice of pairs are a reconstruction"
COMMON: dict[str, float | str] = {"min_strength": 0.5, "length_penalty": 0.0}
PLANS = (Plan.against_baseline, Plan.all_pairs)
BOUNDS = {"min_strength": (0.0, 1.0), "length_penalty": NOT_NEGATIVE}

RANKED, RANKED_ADJACENT, BEST_AGAINST_REST = (
    Rule(
        name=name,
        source=SOURCE,
        of=of,
        reads="preferences",
        options={"link": "logit", **COMMON},
        choices={"link": ("logit", "linear")},
        bounds=BOUNDS,
        plans=PLANS,
        ties_with=keeps_ties,
    )
    for name, of in (
        ("ranked", ranked),
        ("ranked_adjacent", ranked_adjacent),
        ("best_against_rest", best_against_rest),
    )
)
WITH_BASELINE = Rule(
    name="with_baseline",
    source=SOURCE,
    of=with_baseline,
    reads="preferences",
    options=COMMON,
    bounds=BOUNDS,
    plans=PLANS,
    ties_with=keeps_ties,
)
