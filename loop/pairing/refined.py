"""A refinement that passes against the failing answer that it began with (SPaR)."""

from __future__ import annotations

from loop.pairing.candidates import best, by_number, finite
from loop.pairing.found import Found, Options, Rule, is_pair, pair_of
from loop.verdict import Group, Verdict


def refined(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair, of strength 1: the highest score above `pass_score` among the refinements, and the sample below
    it that they come from, through whatever refinements lie between. None where the search found nothing that passes.
    `pass_score` is the sampler's."""
    assert verdict.scores_K is not None, "refinements are scored"
    scores = {i: score for i, score in enumerate(verdict.scores_K) if score is not None}
    least = float(options["pass_score"])
    passing = {i: scores[i] for i in by_number(group, "node") if i in scores and scores[i] > least}
    chosen = best(group, passing, truncated_may_win)
    rejected = None if chosen is None else _origin(group, chosen)
    if chosen is None or rejected is None or scores.get(rejected, least) >= least:
        return []
    numbers = finite(scores)
    pair = pair_of(chosen, rejected, 1.0, numbers[chosen] - numbers[rejected])
    return [pair] if is_pair(group, chosen, rejected, truncated_may_win) else []


def _origin(group: Group, node: int) -> int | None:
    """The sample that a refinement comes from; None where it is not in the group."""
    at = {one.response_id: i for i, one in enumerate(group.responses_K)}
    found: int | None = node
    while found is not None and group.responses_K[found].purpose == "node":
        found = at.get(group.responses_K[found].parent or "")
    return found


REFINED = Rule(
    name="refined",
    source="Cheng et al. 2024 (SPaR), arXiv:2412.11605",
    of=refined,
    reads="scores",
    options={"pass_score": 0.5},
    bounds={"pass_score": (-1e6, 1e6)},
)
