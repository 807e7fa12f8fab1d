"""A given pair with its two answers as revisions of each other and of themselves (SRPO)."""

from __future__ import annotations

from loop.config import Plan
from loop.pairing.candidates import by_number
from loop.pairing.found import Found, Options, Rule, is_pair
from loop.verdict import Group, Verdict

SHOWN = (("chosen", "rejected"), ("rejected", "rejected"), ("rejected", "chosen"), ("chosen", "chosen"))
"""By number: the answer that a revision holds, and the one that its context shows."""

ROLES = tuple(f"{written}_given_{shown}" for written, shown in SHOWN)


def revised(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair, of strength 1 and margin 0: the responses given as `chosen` and `rejected`, with the four
    revisions in their roles. None where one of the six is missing."""
    sides = [*by_number(group, "chosen")[:1], *by_number(group, "rejected")[:1]]
    revisions = by_number(group, "revision")
    if len(sides) != 2 or len(revisions) != len(ROLES) or not is_pair(group, sides[0], sides[1], truncated_may_win):
        return []
    return [Found(members=(*sides, *revisions), roles=("chosen", "rejected", *ROLES))]


REVISED = Rule(
    name="revised",
    source="Choi et al. 2024 (SRPO), arXiv:2406.01660",
    of=revised,
    reads="nothing",
    plans=(Plan.none,),
    roles=ROLES,
)
