"""How a policy moves under a loss: one gradient step, or all the way to the loss's optimum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from loop.errors import Refused
from loop.losses import Loss
from loop.losses.batch import Batch

Examples = Callable[[Tensor], Batch]
"""From the policy's log-probs `[Y]`, with gradients, to what it is trained on."""

MOST_STEPS = 1_000
SMALLEST_GRADIENT = 1e-11
"""Per draw: where it is smaller everywhere, the policy is at the optimum already."""

SMALLEST_MOVE = 1e-8
"""Of a logit: the last move. Near an optimum moves shrink faster than geometrically, so what is left is far smaller."""


def step(policy_Y: Tensor, loss: Loss, examples: Examples, size: float) -> Tensor:
    """The policy (log-probs `[Y]`) after one gradient step of the expected loss on its logits."""
    return (policy_Y - size * _gradient(policy_Y, loss, examples)).log_softmax(0)


def optimum(policy_Y: Tensor, loss: Loss, examples: Examples, drawn_Y: Tensor) -> Tensor:
    """The policy (log-probs `[Y]`) that minimises the expected loss, by gradient steps on its logits from `policy_Y`.

    A response's curvature is proportional to the probability with which it is drawn (`drawn_Y`, log-probs), so the
    gradient is divided by that; the size of each step is the inverse of the curvature seen over the last one (Barzilai
    and Borwein 1988). Raises: Refused when the optimum is not reached.
    """
    drawn_Y = drawn_Y.exp()
    gradient_Y = _gradient(policy_Y, loss, examples)
    if (gradient_Y / drawn_Y).abs().max() < SMALLEST_GRADIENT:
        return policy_Y
    move_Y = -0.1 * gradient_Y / drawn_Y
    for _ in range(MOST_STEPS):
        before_Y, policy_Y = gradient_Y, (policy_Y + move_Y).log_softmax(0)
        gradient_Y = _gradient(policy_Y, loss, examples)
        change_Y = gradient_Y - before_Y
        size = move_Y.dot(change_Y) / (change_Y.square() / drawn_Y).sum()
        move_Y = -size * gradient_Y / drawn_Y
        if move_Y.abs().max() < SMALLEST_MOVE:
            return (policy_Y + move_Y).log_softmax(0)
    raise Refused(f"loss {loss.row.name}: its optimum was not reached in {MOST_STEPS} steps")


def _gradient(policy_Y: Tensor, loss: Loss, examples: Examples) -> Tensor:
    """Of the expected loss, with respect to logits. It sums to zero, since their common constant means nothing."""
    logits_Y = policy_Y.detach().requires_grad_()
    expected = loss.evaluate(examples(logits_Y.log_softmax(0))).loss_N.sum()
    return torch.autograd.grad(expected, logits_Y)[0]
