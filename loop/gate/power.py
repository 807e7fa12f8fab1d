"""What a gate could have seen, with so many prompts and outcomes that vary so much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from loop.evaluation.win_rate import standard_error
from loop.gate.rule import GateRule

POWER = 0.8


@dataclass(frozen=True, slots=True)
class Power:
    """`detectable`: the smallest loss of win rate that the gate rejects with a probability of 0.8, at least 0 (a strict
    gate of few prompts rejects an equal policy as often). `equal_promoted`: with what probability it promotes a policy
    exactly as good as the incumbent."""

    prompts: int
    detectable: float
    equal_promoted: float

    @property
    def sentence(self) -> str:
        """For a person."""
        return (
            f"With {self.prompts} prompts it would have rejected a loss of {100 * self.detectable:.1f} points of win "
            f"rate in four cases of five; an equal policy it promotes in {100 * self.equal_promoted:.0f} % of cases."
        )


def power(rule: GateRule, outcomes_P: Sequence[float]) -> Power:
    """By the normal approximation: with s the standard error of the win rate and z the rule's quantile, a policy of
    true win rate r is promoted with probability Phi((r - 0.5 + tolerance) / s - z). ValueError without an outcome."""
    error, z = standard_error(outcomes_P), ndtri(rule.confidence)
    detectable = rule.tolerance + (ndtri(POWER) - z) * error
    return Power(len(outcomes_P), max(float(detectable), 0.0), float(ndtr(rule.tolerance / error - z)))
