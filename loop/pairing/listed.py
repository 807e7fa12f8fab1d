"""All responses of a prompt as one list, for losses over lists."""

from __future__ import annotations

from loop.pairing.candidates import descending, distinct, known_scores
from loop.pairing.found import Found, Options, Rule, may_win
from loop.verdict import Group, Verdict


def listed(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """One list of all known scores as labels, best first; of responses with the same tokens one.

    A truncated response stands in it only if it is above nobody, unless it may win. No list when it would hold fewer
    than two responses, or when all score the same.
    """
    scores = known_scores(group, verdict)
    lowest = min(scores.values(), default=0.0)
    kept = [i for i in scores if may_win(group, i, truncated_may_win) or scores[i] == lowest]
    order = descending(group, {i: scores[i] for i in distinct(group, kept)})
    labels = tuple(scores[i] for i in order)
    if len(set(labels)) < 2:
        return []
    return [Found(members=tuple(order), roles=("item",) * len(order), labels=labels, margin=labels[0] - labels[-1])]


LISTED = Rule(name="listed", source="Liu et al. 2024 (LiPO), arXiv:2402.01878", of=listed, reads="scores", gives="list")
