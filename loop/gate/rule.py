"""What the gate asks of a candidate."""

from __future__ import annotations

from dataclasses import dataclass

from loop.errors import Refused

DEFAULT_TOLERANCE = 0.025
DEFAULT_CONFIDENCE = 0.85


@dataclass(frozen=True, slots=True)
class GateRule:
    """A candidate is promoted when the lower bound of its win rate, which the rate exceeds with `confidence`, is above
    one half minus `tolerance`.

    So a policy whose true win rate is 0.5 - tolerance is rejected with a probability of `confidence`, whatever the
    number of prompts, and with a `tolerance` of 0 an equal one is. Where every prompt has one answer, right or wrong,
    a win rate that is x lower is a score that is 2x lower. Raises: Refused.
    """

    tolerance: float = DEFAULT_TOLERANCE
    confidence: float = DEFAULT_CONFIDENCE

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance < 0.5:
            raise Refused(f"The gate's tolerance must be at least 0 and below 0.5, and is {self.tolerance}.")
        if not 0.5 <= self.confidence < 1.0:
            raise Refused(f"The gate's confidence must be at least 0.5 and below 1, and is {self.confidence}.")

    @property
    def bound(self) -> float:
        """What the lower bound has to exceed."""
        return 0.5 - self.tolerance
