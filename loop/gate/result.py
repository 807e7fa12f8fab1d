"""What the gate came to in a round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from loop.evaluation.comparison import Comparison

Decision = Literal["promoted", "rejected"]


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether `candidate` replaced `incumbent` (version labels), and why, in a sentence.

    `comparisons` are the candidate's on the gate's prompts, against the incumbent and the best promoted policy so far.
    `bound` is what the lower confidence bound of each win rate had to exceed; `detectable` the smallest loss of win
    rate against the incumbent that the gate would have rejected in four cases of five (`loop.gate.power`);
    `equal_promoted` the probability with which it would have promoted a policy exactly as good as the incumbent.
    """

    decision: Decision
    candidate: str
    incumbent: str
    reason: str
    bound: float
    detectable: float
    equal_promoted: float
    comparisons: list[Comparison] = field(default_factory=list)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> GateResult:
        """From the dictionary that `dataclasses.asdict` gives. TypeError for an unknown field."""
        return cls(**{**values, "comparisons": [Comparison.from_json(one) for one in values["comparisons"]]})
