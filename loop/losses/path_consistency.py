"""Soft path consistency with a value head (OREO, arXiv:2412.16145): losses of one response from its tokens.

Over tokens `[T]`: `ratio_T` the policy's log-ratio to the anchor, `value_T` the value head's estimate of the outcome
before the token; `outcome` is the response's reward. Both losses are means over tokens.
"""

from __future__ import annotations

from torch import Tensor


def to_come(ratio_T: Tensor) -> Tensor:
    """Sum of the log-ratios of each token and all behind it, `[T]`."""
    return ratio_T.flip(0).cumsum(0).flip(0)


def value_loss(ratio_T: Tensor, value_T: Tensor, outcome: float, beta: float = 0.03) -> Tensor:
    """How far the values are from the outcome less the penalty to come; a scalar whose gradient reaches the values
    only."""
    return (value_T + beta * to_come(ratio_T.detach()) - outcome).square().mean()


def policy_loss(
    ratio_T: Tensor,
    value_T: Tensor,
    outcome: float,
    beta: float = 0.03,
    kl_T: Tensor | None = None,
    kappa: float = 0.01,
) -> Tensor:
    """The same residual, with a gradient through each token's own log-ratio only; a scalar.

    `kl_T` is KL(policy || anchor) of each token over the whole vocabulary, a regulariser weighed by `kappa`.
    """
    behind_T = to_come(ratio_T.detach()) - ratio_T.detach()
    loss = (value_T.detach() + beta * (ratio_T + behind_T) - outcome).square().mean()
    return loss if kl_T is None else loss + kappa * kl_T.mean()
