"""What the gate asks of a candidate."""

from __future__ import annotations

from dataclasses import dataclass

from loop.errors import Refused


@dataclass(frozen=True, slots=True)
class GateRule:
    """A candidate is promoted when the lower bound of its win rate, which the rate exceeds with `confidence`, is above
    one half minus `tolerance`.

    So a policy whose true win rate is 0.5 - tolerance is rejected with a probability of `confidence`, whatever the
    number of prompts; with a tolerance of 0 that is an equal one. Where answers are right or wrong, a score that is x
    lower is a win rate that is x / 2 lower.

    The defaults are for 512 prompts with one answer each, right or wrong, of policies that are right in 40 to 90 % of
    cases, surer of some prompts than of others: a score 5 points lower is rejected in 88 to 94 % of cases, a score 1
    point higher promoted in 83 to 100 %, an equal one in 72 to 99 %. Raises: Refused.
    """

    tolerance: float = 0.02
    confidence: float = 0.8

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance < 0.5:
            raise Refused(f"The gate's tolerance must be at least 0 and below 0.5, and is {self.tolerance}.")
        if not 0.5 <= self.confidence < 1.0:
            raise Refused(f"The gate's confidence must be at least 0.5 and below 1, and is {self.confidence}.")

    @property
    def bound(self) -> float:
        """What the lower bound has to exceed."""
        return 0.5 - self.tolerance
