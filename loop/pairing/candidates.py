"""The parts that pairing rules share: what is known of those who take part, in which order they stand, and chance
that follows from response ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loop.pairing.found import is_pair, may_win
from loop.records import seed_of
from loop.verdict import Group, Verdict
from loop.verdicts import VETO, candidates


def known_scores(group: Group, verdict: Verdict) -> dict[int, float]:
    """The known scores of the candidates, by position; a vetoed one's is minus infinity, so take margins and labels
    from `finite`."""
    assert verdict.scores_K is not None, "the rule reads scores"
    return {i: score for i in candidates(group) if (score := verdict.scores_K[i]) is not None}


def known_objectives(group: Group, verdict: Verdict) -> dict[int, tuple[float, ...]]:
    """The objectives `[M]` of the candidates of which every one is known, by position."""
    assert verdict.objectives_KM is not None, "the rule reads objectives"
    known = {i: tuple(x for x in verdict.objectives_KM[i] if x is not None) for i in candidates(group)}
    return {i: row for i, row in known.items() if row and len(row) == len(verdict.objectives_KM[i])}


def finite(scores: Mapping[int, float]) -> dict[int, float]:
    """The scores with a number for vetoed ones: below the lowest of the others by as much as these range over, or by 1
    where they are all the same. So a veto is as large as anything else that the judge sees in this group."""
    others = [score for score in scores.values() if score != VETO] or [0.0]
    floor = min(others) - (max(others) - min(others) or 1.0)
    return {i: floor if score == VETO else score for i, score in scores.items()}


def reaches(score: float, least: float) -> bool:
    """Whether a score is at least so much. A vetoed one is not, even where nothing is asked for (minus infinity)."""
    return score >= least and score != VETO


def by_id(group: Group, members: Iterable[int]) -> list[int]:
    """The members in the order of their response ids: an order free of positions, and unrelated to quality."""
    return sorted(members, key=lambda i: group.responses_K[i].response_id)


def descending(group: Group, values: Mapping[int, float]) -> list[int]:
    """Positions from the largest value to the smallest, equal ones by response id."""
    return sorted(by_id(group, values), key=lambda i: -values[i])


def distinct(group: Group, members: Iterable[int]) -> list[int]:
    """One of each set of responses with the same tokens, by response id."""
    first: dict[tuple[int, ...], int] = {}
    for i in by_id(group, members):
        first.setdefault(tuple(group.responses_K[i].tokens_T), i)
    return list(first.values())


def by_number(group: Group, purpose: str) -> list[int]:
    """The responses of a purpose, by their number k."""
    members = [i for i, response in enumerate(group.responses_K) if response.purpose == purpose]
    return sorted(members, key=lambda i: group.responses_K[i].k)


def best(group: Group, values: Mapping[int, float], truncated_may_win: bool) -> int | None:
    """The position with the largest value among those that may win; among equals the smallest response id."""
    winners = {i: value for i, value in values.items() if may_win(group, i, truncated_may_win)}
    return descending(group, winners)[0] if winners else None


def worst(group: Group, values: Mapping[int, float]) -> int:
    """The position with the smallest value; among equals the smallest response id."""
    return min(by_id(group, values), key=lambda i: values[i])


def extremes(group: Group, values: Mapping[int, float], truncated_may_win: bool) -> tuple[int, int] | None:
    """Best and worst; none when nothing lies between their values, or when they are no pair."""
    chosen = best(group, values, truncated_may_win)
    if chosen is None:
        return None
    rejected = worst(group, values)
    if values[chosen] <= values[rejected] or not is_pair(group, chosen, rejected, truncated_may_win):
        return None
    return chosen, rejected


def length(group: Group, response: int) -> int:
    """Length of a response in characters."""
    return len(group.responses_K[response].text)


def uniform(*parts: object) -> float:
    """A number in [0, 1) that follows from the parts; give it response ids, which no two responses share."""
    return (seed_of("pairing", *parts) >> 10) / 2**53


def drawn(group: Group, members: Sequence[int], *parts: object) -> int:
    """One of the members by chance, whatever their order."""
    ordered = by_id(group, members)
    return ordered[int(uniform(*parts, *(group.responses_K[i].response_id for i in ordered)) * len(ordered))]
