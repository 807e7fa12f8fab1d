"""Two samples as they are, with the judge's probability between them (online IPO, EGPO)."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean

from loop.config import Plan
from loop.pairing.candidates import by_id
from loop.pairing.found import Found, Options, Rule, graded_pair
from loop.pairing.opponents import has_opponents, known_opponents
from loop.verdict import Group, Verdict
from loop.verdicts import Table, candidates


def unordered(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every two samples y, y' as a pair, ties included.

    With opponents y'' in the group (purposes `opponent` and `baseline`) `margin` is the difference of the win rates
    against those of which anything is known, the mean of P(y > y'') - P(y' > y''), and `strength` is (1 + margin) / 2.
    Without any in the group, `strength` is P(y > y') and `margin` is P(y > y') - 1/2, as the two are known only from
    each other; where only the first sample was compared with the others, these are its pairs.

    The stronger one is called chosen. A pair with a hole in what the margin is made of is none.
    """
    table_KK = verdict.preferences_KK
    assert table_KK is not None, "unordered pairs need preferences"
    members = by_id(group, candidates(group))
    opponents = known_opponents(group, table_KK, members)
    pairs = []
    for i, j in combinations(members, 2):
        if has_opponents(group):
            margin = _advantage(table_KK, i, j, opponents)
            strength = None if margin is None else (1 + margin) / 2
        else:
            strength = table_KK[i][j]
            margin = None if strength is None else strength - 0.5
        if margin is not None and strength is not None:
            pairs += graded_pair(group, i, j, strength, margin, truncated_may_win)
    return pairs


def _advantage(table_KK: Table, i: int, j: int, opponents: list[int]) -> float | None:
    """The mean over opponents of P(i beats it) - P(j beats it); None without any, or where one is not known."""
    known = [(a, b) for k in opponents if (a := table_KK[i][k]) is not None and (b := table_KK[j][k]) is not None]
    return fmean(a - b for a, b in known) if known and len(known) == len(opponents) else None


UNORDERED = Rule(
    name="unordered",
    source="Calandriello et al. 2024 (online IPO), arXiv:2403.08635; Zhou et al. 2025 (EGPO), arXiv:2503.08942",
    of=unordered,
    reads="preferences",
    plans=(Plan.all_pairs, Plan.against_baseline),
    ties=True,
)
