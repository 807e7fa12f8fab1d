"""Which policies stand after some rounds: a pure function of what the rounds came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.evaluation.comparison import Opponent
from loop.records import INITIAL, PolicyVersion
from loop.summary import RoundSummary

EVEN = 0.5
"""Win rate of the initial policy against itself."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The `incumbent` is the policy that was promoted last, `best` the promoted one with the highest win rate against
    the initial policy on the gate's prompts, the later one of equals; both are the initial policy at first.
    `rejections` counts those since the last promotion, `discarded` are the versions that were rejected, or that a
    rejected one was made from."""

    incumbent: PolicyVersion = INITIAL
    best: PolicyVersion = INITIAL
    rejections: int = 0
    discarded: frozenset[PolicyVersion] = frozenset()

    @property
    def rivals(self) -> dict[Opponent, PolicyVersion]:
        """With whom a candidate is compared."""
        return {"incumbent": self.incumbent, "best": self.best, "initial": INITIAL}


def standing(rounds: Sequence[RoundSummary]) -> Standing:
    """After these rounds of training, in order, in a run with a gate."""
    incumbent = best = INITIAL
    highest, rejections = EVEN, 0
    since: set[PolicyVersion] = set()
    discarded: set[PolicyVersion] = set()
    for one in rounds:
        if one.candidate is not None:
            since.add(PolicyVersion.parse(one.candidate))
        if one.gate is None:
            continue
        if one.gate.decision == "rejected":
            discarded |= since - {incumbent}
            rejections += 1
        else:
            incumbent, rejections = PolicyVersion.parse(one.gate.candidate), 0
            rate = next((c.win_rate for c in one.gate.comparisons if c.against == "initial"), highest)
            if rate >= highest:
                best, highest = incumbent, rate
        since = set()
    return Standing(incumbent, best, rejections, frozenset(discarded))
