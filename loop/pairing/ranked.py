"""Ranked pairing (OSP): order the responses by their strength against the baseline; each ordered pair is an example."""

from __future__ import annotations

import math
from itertools import combinations

from loop.config import Link
from loop.judging import BASELINE, Group, Verdict
from loop.pairing.pair import Pair

CLIP = 1e-4
"""Strengths are kept this far from 0 and 1 before the logit."""


def ranked(group: Group, verdict: Verdict, link: Link, min_strength: float, truncated_may_win: bool) -> list[Pair]:
    """All pairs (i above j) with strength t_ij.

    logit link: sigmoid(logit s_i - logit s_j), exact for a Bradley-Terry judge since the baseline cancels; linear link:
    1/2 + (s_i - s_j) / 2. Responses with a hole take no part; pairs at or below `min_strength`, with a truncated winner
    (unless allowed) or with the same tokens on both sides are dropped.
    """
    assert verdict.preferences_KK is not None, "ranked pairing needs preferences"
    responses = group.responses_K
    strengths = {i: s for i, row in enumerate(verdict.preferences_KK) if (s := row[BASELINE]) is not None}
    order = sorted(strengths, key=lambda i: (-strengths[i], responses[i].response_id))
    pairs = []
    for i, j in combinations(order, 2):
        strength = pair_strength(strengths[i], strengths[j], link)
        if strength <= min_strength or responses[i].tokens_T == responses[j].tokens_T:
            continue
        if truncated_may_win or not responses[i].truncated:
            pairs.append(Pair(i, j, strength, strengths[i] - strengths[j]))
    return pairs


def pair_strength(s_i: float, s_j: float, link: Link) -> float:
    """The strength of a pair from both responses' strengths against the same baseline."""
    if link is Link.linear:
        return 0.5 + (s_i - s_j) / 2
    return 1.0 / (1.0 + math.exp(_logit(s_j) - _logit(s_i)))


def _logit(p: float) -> float:
    p = min(max(p, CLIP), 1.0 - CLIP)
    return math.log(p) - math.log1p(-p)
