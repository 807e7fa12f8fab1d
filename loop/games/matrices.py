"""Games: how often each response beats each other one, the reference policy, and the strength of its pull.

Axes: `_Y` responses, `_YY` the first index against the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loop.errors import Refused


@dataclass(frozen=True, slots=True)
class Game:
    """Two players draw a response each and are paid the probability with which theirs is preferred, less
    `beta * KL(own policy || reference)`, nats.

    `preferences_YY[i, j]`: probability that i beats j, float64; `reference_Y`: the reference's log-probs, float64.
    Raises: Refused unless each of the two probabilities of a pair is one minus the other.
    """

    name: str
    preferences_YY: Tensor
    reference_Y: Tensor
    beta: float

    def __post_init__(self) -> None:
        both_YY = self.preferences_YY + self.preferences_YY.T
        if not torch.allclose(both_YY, torch.ones_like(both_YY), rtol=0.0, atol=1e-12):
            raise Refused(f"game {self.name}: P(a beats b) and P(b beats a) do not add up to 1 everywhere")

    @property
    def responses(self) -> int:
        """Their number."""
        return len(self.reference_Y)

    def win_rate(self, opponent_Y: Tensor) -> Tensor:
        """Probability that each response beats a draw of the opponent (log-probs), `[Y]`."""
        return self.preferences_YY @ opponent_Y.exp()


def uniform(responses: int) -> Tensor:
    """Log-probs of the uniform policy, `[Y]`."""
    return torch.zeros(responses, dtype=torch.float64).log_softmax(0)


def random_policy(responses: int, seed: int) -> Tensor:
    """Log-probs of a policy with normal logits, `[Y]`."""
    noise = torch.Generator().manual_seed(seed)
    return torch.randn(responses, dtype=torch.float64, generator=noise).log_softmax(0)


def bradley_terry(rewards_Y: Tensor) -> Tensor:
    """Preferences that rewards explain: sigmoid of their difference, `[Y, Y]`."""
    return torch.sigmoid(rewards_Y[:, None] - rewards_Y[None, :])


def rock_paper_scissors(first: float = 0.4, second: float = 0.3, third: float = 0.2) -> Tensor:
    """A cycle `[3, 3]`: 0 beats 1 with probability 1/2 + first, 2 beats 0 with 1/2 + second, 1 beats 2 with
    1/2 + third. The equilibrium plays them in proportion third : second : first."""
    skew_YY = torch.tensor([[0.0, first, -second], [-first, 0.0, third], [second, -third, 0.0]], dtype=torch.float64)
    return 0.5 + skew_YY


def random_skew(responses: int, seed: int) -> Tensor:
    """Preferences `[Y, Y]` without any order: those above the diagonal are uniform in (0, 1) and independent."""
    noise = torch.Generator().manual_seed(seed)
    upper_YY = (torch.rand(responses, responses, dtype=torch.float64, generator=noise) - 0.5).triu(1)
    return 0.5 + upper_YY - upper_YY.T
