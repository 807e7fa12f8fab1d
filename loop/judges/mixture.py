"""Constraints veto, and one judge ranks what they let pass: infinite masks in place of products, so that a reward below
zero never lets a vetoed response win (CGPO, arXiv:2409.20370)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loop.errors import Refused
from loop.judge_config import MixtureConfig
from loop.judges.comparing import scores_of
from loop.judges.judge import Asked, Judge, Reply
from loop.judges.members import cut_of, failed, label_of, told, usage_of
from loop.verdicts import VETO

REWARD = "reward"


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the constraints say of a question: their replies about each side by name, whether each side passes them all,
    and whether one of them gave no score."""

    replies: dict[str, tuple[Reply, ...]]
    passes: tuple[bool, ...]
    unknown: bool

    @property
    def asks_reward(self) -> bool:
        return all(self.passes)


class Mixture:
    """The score is the reward's where every constraint scores at least `passes`, and a veto (minus infinity) elsewhere.
    Of two responses the one that passes is better with probability 1; two that pass are the reward's matter; two that
    do not are undecided, a tie like any other to a recipe that learns from ties.

    A failed constraint fails the judgement, whatever the others say; one that abstains leaves it undecided, a single
    response without a number. The reward is asked only where nothing else decides. Constraints score single responses;
    the reward answers the questions as they are.
    """

    def __init__(self, config: MixtureConfig, members: Mapping[str, Judge]) -> None:
        """Raises: Refused without a reward or without a constraint."""
        if REWARD not in members or len(members) < 2:
            has = ", ".join(members) or "none"
            raise Refused(
                f"judge.members: a mixture needs a member named reward and at least one constraint; it has {has}"
            )
        self.config = config
        self.members = dict(members)
        self.constraints = {name: judge for name, judge in members.items() if name != REWARD}

    def version(self, policy: str) -> str:
        """A digest of settings and members."""
        return label_of("mixture", (self.config.passes,), self.members, policy)

    def usage(self) -> dict[str, float]:
        """The members' counters."""
        return usage_of(self.members)

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """The raw JSON tells each constraint's status and value for each response, and the reward's where it was
        asked."""
        scored = {name: scores_of(judge, asked, policy) for name, judge in self.constraints.items()}
        checked = [self._checked({name: scores[n] for name, scores in scored.items()}) for n in range(len(asked))]
        open_ones = [n for n, one in enumerate(checked) if one.asks_reward]
        rewards = self.members[REWARD].answer([asked[n] for n in open_ones], policy) if open_ones else []
        given = dict(zip(open_ones, rewards, strict=True))
        return [_reply(one, given.get(n)) for n, one in enumerate(checked)]

    def _checked(self, replies: dict[str, tuple[Reply, ...]]) -> _Checked:
        every = [one for sides in replies.values() for one in sides]
        passes = tuple(
            all(one.value is not None and one.value >= self.config.passes for one in side)
            for side in zip(*replies.values(), strict=True)
        )
        return _Checked(replies, passes, any(one.value is None for one in every))


def _reply(checked: _Checked, reward: Reply | None) -> Reply:
    """One judgement; the reward's reply is given where it was asked."""
    asked = [*(one for sides in checked.replies.values() for one in sides), *([reward] if reward else [])]
    constraints = {name: [told(one) for one in sides] for name, sides in checked.replies.items()}
    raw, cut = json.dumps({"constraints": constraints, REWARD: told(reward) if reward else None}), cut_of(asked)
    pairwise = len(checked.passes) == 2
    if any(map(failed, asked)):
        return Reply(raw, "failed", None, cut)
    if reward is not None:
        return Reply(raw, reward.status, reward.value, cut)
    if checked.unknown:
        return Reply(raw, "undecided", 0.5 if pairwise else None, cut)
    if not pairwise:
        return Reply(raw, "decided", VETO, cut)
    if not any(checked.passes):
        return Reply(raw, "undecided", 0.5, cut)
    return Reply(raw, "decided", float(checked.passes[0]), cut)
