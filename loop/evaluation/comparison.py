"""What a comparison of two policies on the same held-out prompts came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Opponent = Literal["incumbent", "best", "initial"]
"""Whom a policy is compared with: the last promoted policy, the promoted one with the highest gold score so far, the
policy with which the run began."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A policy against another one, whose version label is `version`, over `prompts` held-out prompts.

    `win_rate` is the mean over prompts of the probability that the policy's answer is better, ties half, comparisons
    in both orders averaged; `low` and `high` are its 95 % interval, by bootstrap over prompts. `length_controlled` is
    the win rate at equal length (`loop.evaluation.length_controlled`); None where it cannot be fitted.
    """

    against: Opponent
    version: str
    prompts: int
    win_rate: float
    low: float
    high: float
    length_controlled: float | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Comparison:
        """From the dictionary that `dataclasses.asdict` gives. TypeError for an unknown field."""
        return cls(**values)
