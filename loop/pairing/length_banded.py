"""Length control (Meta-Rewarding): the shortest of the good answers against the longest of the bad ones."""

from __future__ import annotations

from loop.pairing.candidates import by_id, finite, known_scores, length
from loop.pairing.found import Found, Options, Rule, is_pair, may_win, pair_of
from loop.verdict import Group, Verdict


def length_banded(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair, of strength 1: the shortest response (characters) of the upper band of scores against the
    longest of the lower band; among equals the smallest response id.

    The upper band reaches from the best response that may win down by `rho` of the range of scores, the lower one from
    the worst response up by as much. No pair when nothing lies between best and worst.
    """
    scores = finite(known_scores(group, verdict))
    winners = [i for i in by_id(group, scores) if may_win(group, i, truncated_may_win)]
    if not winners:
        return []
    upper, lower = bands(max(scores[i] for i in winners), min(scores.values()), float(options["rho"]))
    chosen = min((i for i in winners if scores[i] >= upper), key=lambda i: length(group, i))
    rejected = max((i for i in by_id(group, scores) if scores[i] <= lower), key=lambda i: length(group, i))
    if scores[chosen] <= scores[rejected] or not is_pair(group, chosen, rejected, truncated_may_win):
        return []
    return [pair_of(chosen, rejected, 1.0, scores[chosen] - scores[rejected])]


def bands(highest: float, lowest: float, rho: float) -> tuple[float, float]:
    """Where the upper band ends and the lower one begins: a share `rho` of the range inwards. At `rho` 0 these are
    `highest` and `lowest` themselves."""
    inwards = rho * (highest - lowest)
    return highest - inwards, lowest + inwards


LENGTH_BANDED = Rule(
    name="length_banded",
    source="Wu et al. 2024 (Meta-Rewarding), arXiv:2407.19594, length control",
    of=length_banded,
    reads="scores",
    options={"rho": 0.1},
    bounds={"rho": (0.0, 0.5)},
)
