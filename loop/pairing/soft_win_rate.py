"""All pairs with the strength that their win rates give them (DNO)."""

from __future__ import annotations

from itertools import combinations

from loop.config import Plan
from loop.pairing.candidates import by_id
from loop.pairing.found import Found, Options, Rule, graded_pair
from loop.pairing.win_rate import compared
from loop.verdict import Group, Verdict
from loop.verdicts import sigmoid, win_rates


def soft_win_rate(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every two candidates y, y' with different rewards, the larger one chosen, with strength sigmoid(r(y) - r(y')).

    r is the reward of DNO's algorithm 1: the mean over the *other* candidates of the probability to beat them. The
    margin is that of `Found`, where each response counts with one half against itself: it is (K - 1) / K of
    r(y) - r(y'). A candidate with a hole takes no part.
    """
    table_KK = verdict.preferences_KK
    assert table_KK is not None, "win rates need preferences"
    pool = compared(group, table_KK)
    column = win_rates(tuple(tuple(table_KK[i][j] for j in pool) for i in pool))
    rates = {i: rate for i, rate in zip(pool, column, strict=True) if rate is not None}
    over_others = len(pool) / max(len(pool) - 1, 1)
    pairs = []
    for i, j in combinations(by_id(group, rates), 2):
        margin = rates[i] - rates[j]
        pairs += graded_pair(group, i, j, sigmoid(over_others * margin), margin, truncated_may_win)
    return [pair for pair in pairs if pair.strength > 0.5]


SOFT_WIN_RATE = Rule(
    name="soft_win_rate",
    source="Rosset et al. 2024 (DNO, algorithm 1), arXiv:2404.03715",
    of=soft_win_rate,
    reads="preferences",
    plans=(Plan.all_pairs,),
)
