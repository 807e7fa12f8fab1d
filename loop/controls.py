"""Control runs: a run whose judge says nothing about the answers, beside one whose claim it bounds. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from loop.config import Control
from loop.records import seed_of
from loop.verdict import Group, Verdict

TOLD: dict[Control, str] = {
    Control.shuffled: "shuffled: every group is given another group's verdict, which says nothing about its answers"
}
"""What a person is told of a control run."""


def shuffled(groups: Sequence[Group], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdict of another group for each group of a shard, position by position.

    Groups of the same shape (the purposes of their responses) pass theirs on in a circle, whose order follows from
    their response ids: no group keeps its own, and none is lost. A group that is the only one of its shape learns
    nothing: its verdict becomes holes.
    """
    circles: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i in sorted(range(len(groups)), key=lambda i: _place(groups[i])):
        circles[tuple(response.purpose for response in groups[i].responses_K)].append(i)
    given = list(map(_nothing, verdicts))
    for circle in circles.values():
        for i, other in zip(circle, circle[1:] + circle[:1], strict=True):
            if i != other:
                given[i] = verdicts[other]
    return given


def _place(group: Group) -> int:
    return seed_of("shuffled", *(response.response_id for response in group.responses_K))


def _nothing(verdict: Verdict) -> Verdict:
    """A verdict of the same form of which nothing is known."""
    scores, preferences = verdict.scores_K, verdict.preferences_KK
    return Verdict(
        scores_K=None if scores is None else (None,) * len(scores),
        preferences_KK=None if preferences is None else ((None,) * len(preferences),) * len(preferences),
    )
