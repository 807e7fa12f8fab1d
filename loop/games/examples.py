"""Examples in expectation: every pair of responses, weighted by the probability with which it is drawn.

A response is its own sequence here: `lp` is log pi(y), one token long. Draws, labels and anchors are numbers; only the
policy's log-probs take gradients. A pair of a response with itself is among them, as it is among samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from loop.games.matrices import Game
from loop.losses import PairBatch, Side, SingleBatch


def pairs(
    policy_Y: Tensor,
    anchors: Sequence[Tensor],
    drawn_YY: Tensor,
    *,
    strength_YY: Tensor | None = None,
    margin_YY: Tensor | None = None,
    label_Y: Tensor | None = None,
) -> PairBatch:
    """All ordered pairs, `N = Y * Y`, the first chosen: log-probs `[Y]` of policy and anchors, the probability
    `drawn_YY` of each pair, and what the loss reads besides."""
    zero_YY = torch.zeros_like(drawn_YY)
    first_N, second_N = torch.cartesian_prod(*[torch.arange(len(policy_Y))] * 2).T
    return PairBatch(
        chosen=_side(policy_Y, anchors, label_Y, first_N),
        rejected=_side(policy_Y, anchors, label_Y, second_N),
        strength=(zero_YY + 1.0 if strength_YY is None else strength_YY).flatten(),
        margin=(zero_YY if margin_YY is None else margin_YY).flatten(),
        weight=drawn_YY.flatten(),
    )


def singles(policy_Y: Tensor, anchors: Sequence[Tensor], drawn_Y: Tensor, label_Y: Tensor) -> SingleBatch:
    """All responses, `N = Y`, each with its label and the probability with which it is drawn."""
    return SingleBatch(response=_side(policy_Y, anchors, label_Y, torch.arange(len(policy_Y))), weight=drawn_Y)


def two_draws(policy_Y: Tensor) -> Tensor:
    """The probability of each pair of two independent draws of a policy (log-probs), `[Y, Y]`."""
    return (policy_Y[:, None] + policy_Y[None, :]).exp()


def judged(game: Game, policy_Y: Tensor) -> Tensor:
    """The probability that two draws are these and that the judge chooses the first, whichever was drawn first:
    `2 pi(i) pi(j) P(i beats j)`, which sums to 1."""
    return 2.0 * two_draws(policy_Y) * game.preferences_YY


def differences(rate_Y: Tensor) -> Tensor:
    """What one response has more than the other, `[Y, Y]`."""
    return rate_Y[:, None] - rate_Y[None, :]


def _side(policy_Y: Tensor, anchors: Sequence[Tensor], label_Y: Tensor | None, at_N: Tensor) -> Side:
    frozen = [anchor_Y[at_N] for anchor_Y in anchors]
    return Side(
        lp=policy_Y[at_N],
        rf=frozen[0],
        second=frozen[1] if len(frozen) > 1 else None,
        n=torch.ones_like(frozen[0]),
        label=None if label_Y is None else label_Y[at_N],
    )
