"""Pairs of which a side is given (SPIN, DRIFT, offline DPO, HyPO): nobody judges them."""

from __future__ import annotations

from itertools import product

from loop.config import Plan
from loop.pairing.candidates import by_number
from loop.pairing.found import Found, Options, Rule, is_pair
from loop.verdict import Group, Verdict


def given(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every response of purpose `chosen` against every one of purpose `rejected`, of strength 1 and margin 0. In place
    of a side that is not given stand the policy's own samples; with neither given there is no pair.

    SPIN gives the chosen side and DRIFT the rejected one: each of K samples makes a pair. The further role `on_policy`
    has the pair's own sample, or the first one (smallest k) where both sides are given; nobody where there is none. The
    same tokens on both sides are no pair, and a truncated sample does not win unless allowed.
    """
    own, chosen, rejected = (by_number(group, purpose) for purpose in ("train", "chosen", "rejected"))
    if not chosen and not rejected:
        return []
    pairs = []
    for i, j in product(chosen or own, rejected or own):
        fresh = own[:1] if chosen and rejected else [j if chosen else i]
        if is_pair(group, i, j, truncated_may_win):
            pairs.append(
                Found(members=(i, j, *fresh), roles=("chosen", "rejected", *("on_policy" for _ in fresh)), strength=1.0)
            )
    return pairs


GIVEN = Rule(
    name="given",
    source="Chen et al. 2024 (SPIN), arXiv:2401.01335; Wang et al. 2025 (DRIFT), arXiv:2510.02341; Song et al. 2024 "
    "(HyPO), arXiv:2406.01462",
    of=given,
    reads="nothing",
    plans=(Plan.none,),
    roles=("on_policy",),
)
