"""The tournament of INPO (arXiv:2407.00617): a winner and a loser of K responses after 3K / 2 - 1 comparisons.

Neighbours in the order of seeding meet first. Winners play on among winners until one is left, losers among losers,
and a last match between the two must confirm the winner.

A tie goes to the first of the match, but in the last match it confirms nothing. When an odd number is left, the last
one has a bye. In the first round it has then neither won nor lost, so it plays on on both sides: whatever K is, a
transitive judge's best response wins and its worst one loses. A judge in a circle may make the same response win and
lose; that is no result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loop.verdict import Group, Verdict
from loop.verdicts import candidates

Match = tuple[int, int]
Preference = Callable[[int, int], float | None]
"""P(first beats second) of two positions; None when it is not known."""

WINNERS, LOSERS = 0, 1
"""Which side of a match plays on."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """A tournament as far as results are known. Numbers are positions in the group.

    `matches`: those whose two sides are known, each once and in the order of play, whether they are decided or not;
    `last`: the winner of the winners and the loser of the losers, None until both are known or when they are the same.
    """

    matches: tuple[Match, ...]
    last: Match | None = None


def play(seeds: Sequence[int], preference: Preference) -> Bracket:
    """The tournament among some positions, in the order of seeding. An unknown preference leaves its match open."""
    matches: list[Match] = []

    def results(entrants: Sequence[int]) -> list[Match] | None:
        """Winner and loser of every match between neighbours; None while one is open."""
        pairs = list(zip(entrants[::2], entrants[1::2], strict=False))
        matches.extend(pairs)
        known = [(pair, p) for pair in pairs if (p := preference(*pair)) is not None]
        return [pair if p >= 0.5 else pair[::-1] for pair, p in known] if len(known) == len(pairs) else None

    def play_on(entrants: list[int], side: int) -> int | None:
        """Who is left when winners or losers have played on among themselves; None while a match is open."""
        while len(entrants) > 1:
            if (played := results(entrants)) is None:
                return None
            entrants = [match[side] for match in played] + _bye(entrants)
        return entrants[0] if entrants else None

    if (first := results(seeds)) is None:
        return Bracket(tuple(matches))
    winner, loser = (play_on([match[side] for match in first] + _bye(seeds), side) for side in (WINNERS, LOSERS))
    if winner is None or loser is None or winner == loser:
        return Bracket(tuple(matches))
    met = (winner, loser) in matches or (loser, winner) in matches
    return Bracket(tuple(matches) if met else (*matches, (winner, loser)), last=(winner, loser))


def _bye(entrants: Sequence[int]) -> list[int]:
    """Who has nobody to play against."""
    return list(entrants[len(entrants) // 2 * 2 :])


def matches_at_most(k: int) -> int:
    """How many matches a tournament of k has: the first round, both sides down to one, and the last match. It is one
    fewer when the last two have met before."""
    return min(k * (k - 1) // 2, k + (k + 1) // 2 - 1)


def seeds_of(group: Group) -> list[int]:
    """Positions of the candidates in the order of response ids: content decides who meets, not their own order. A
    response that others are compared with (baseline, opponent) does not play."""
    return sorted(candidates(group), key=lambda i: group.responses_K[i].response_id)


def tournament_result(group: Group, verdict: Verdict) -> Match | None:
    """Positions of winner and loser. None when the winner does not win the last match (a tie does not win it), and when
    a match has a hole: who would have gone on is not known, so the whole tournament is void."""
    table = verdict.preferences_KK
    assert table is not None, "a tournament needs preferences"
    if (last := play(seeds_of(group), lambda i, j: table[i][j]).last) is None:
        return None
    p = table[last[WINNERS]][last[LOSERS]]
    return last if p is not None and p > 0.5 else None
