"""Winner against loser of a tournament (INPO)."""

from __future__ import annotations

from loop.config import Plan
from loop.pairing.found import Found, Options, Rule, is_pair, pair_of
from loop.plans import tournament_result
from loop.verdict import Group, Verdict


def tournament(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair: the tournament's winner and loser, if the winner wins the match between them. `strength` is
    that match's, and `margin` is strength - 1/2."""
    assert verdict.preferences_KK is not None, "a tournament needs preferences"
    result = tournament_result(group, verdict)
    if result is None or not is_pair(group, *result, truncated_may_win):
        return []
    winner, loser = result
    strength = verdict.preferences_KK[winner][loser]
    assert strength is not None, "the last match was played"
    return [pair_of(winner, loser, strength, strength - 0.5)]


TOURNAMENT = Rule(
    name="tournament",
    source="Zhang et al. 2024 (INPO), arXiv:2407.00617",
    of=tournament,
    reads="preferences",
    plans=(Plan.tournament, Plan.all_pairs),
)
