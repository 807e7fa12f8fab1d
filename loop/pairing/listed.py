"""All responses of a prompt as one list, for losses over lists."""

from __future__ import annotations

from loop.pairing.candidates import descending, distinct, finite, known_scores
from loop.pairing.found import Found, Options, Rule, may_win
from loop.verdict import Group, Verdict
from loop.verdicts import bradley_terry, win_rates


def listed(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """One list of all known scores as labels, best first; of responses with the same tokens one.

    A truncated response stands in it only if it is above nobody, unless it may win. No list when it would hold fewer
    than two responses, or when all score the same.
    """
    scores = finite(known_scores(group, verdict))
    return _list(group, scores, scores, truncated_may_win)


def listed_by_win_rate(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """As `listed`, each labelled with its win rate in [0, 1]: the mean probability with which a Bradley-Terry judge of
    these scores prefers it to a scored response, one half for itself. Those that the list leaves out count too."""
    scores = known_scores(group, verdict)
    rates = win_rates(bradley_terry(tuple(scores.values())))
    labels = {i: rate for i, rate in zip(scores, rates, strict=True) if rate is not None}
    return _list(group, scores, labels, truncated_may_win)


def _list(group: Group, scores: dict[int, float], labels_of: dict[int, float], truncated_may_win: bool) -> list[Found]:
    lowest = min(scores.values(), default=0.0)
    kept = [i for i in scores if may_win(group, i, truncated_may_win) or scores[i] == lowest]
    order = descending(group, {i: scores[i] for i in distinct(group, kept)})
    labels = tuple(labels_of[i] for i in order)
    if len(set(labels)) < 2:
        return []
    return [Found(members=tuple(order), roles=("item",) * len(order), labels=labels, margin=labels[0] - labels[-1])]


SOURCE = "Liu et al. 2024 (LiPO), arXiv:2402.01878"

LISTED = Rule(name="listed", source=SOURCE, of=listed, reads="scores", gives="list", labels="score")
LISTED_BY_WIN_RATE = Rule(
    name="listed_by_win_rate",
    source=SOURCE,
    of=listed_by_win_rate,
    reads="scores",
    gives="list",
    labels="relevance",
)
