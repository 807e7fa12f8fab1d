"""Best against worst: the highest score is chosen, the lowest rejected (iterative DPO's `max_min`)."""

from __future__ import annotations

from loop.judging import Group, Verdict
from loop.pairing.pair import Pair


def best_worst(group: Group, verdict: Verdict, truncated_may_win: bool) -> list[Pair]:
    """At most one pair, of strength 1.

    No pair when fewer than two scores are known, when best and worst score the same, or when both hold the same tokens.
    Among equal bests or worsts the smallest response id decides, so permuting the candidates permutes the result. A
    truncated response does not win unless allowed.
    """
    assert verdict.scores_K is not None, "best_worst needs scores"
    responses = group.responses_K
    known = [(score, i) for i, score in enumerate(verdict.scores_K) if score is not None]
    may_win = [(score, i) for score, i in known if truncated_may_win or not responses[i].truncated]
    if not may_win:
        return []
    best, chosen = min(may_win, key=lambda c: (-c[0], responses[c[1]].response_id))
    worst, rejected = min(known, key=lambda c: (c[0], responses[c[1]].response_id))
    if best <= worst or responses[chosen].tokens_T == responses[rejected].tokens_T:
        return []
    return [Pair(chosen, rejected, 1.0, best - worst)]
