"""Gradients of log-probs with respect to the LM head's matrix, worked out from the hidden units: of a response's
log-prob it is the sum over its tokens of (one-hot of the token - softmax) times the hidden units before it. No
backward pass is needed, so it is the same under every ZeRO stage.

Axes: `_T` tokens, `_D` hidden units, `_V` vocabulary, `_C` a part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from actors.learner_engine import Engine, device, sum_over_ranks
from actors.policy_module import ChunkedHead

PART = 8192
"""Rows of the head's matrix whose gradient exists at the same time."""


@dataclass(frozen=True, slots=True)
class HeadTokens:
    """The learnt tokens of a response: hidden units before each, the tokens, the logarithm of the logits'
    exponentials' sum, and how often the response stands on the chosen and on the rejected side."""

    hidden_TD: Tensor
    targets_T: Tensor
    normaliser_T: Tensor
    sides: tuple[int, int]


def squares(engine: Engine, head: ChunkedHead, responses: Sequence[HeadTokens]) -> tuple[float, float, float]:
    """<g_w, g_l>, |g_w|^2 and |g_l|^2 of the sums of all chosen and of all rejected responses' log-probs, over all
    ranks, each of which brings its own responses."""
    inner = chosen = rejected = 0.0
    with torch.no_grad(), engine.gathered(list(head.parameters())):
        for first in range(0, head.weight.shape[0], PART):
            gradient_2CD = sum_over_ranks(_gradient(head, responses, first))
            w_CD, l_CD = gradient_2CD.double()
            inner += float((w_CD * l_CD).sum())
            chosen += float((w_CD * w_CD).sum())
            rejected += float((l_CD * l_CD).sum())
    return inner, chosen, rejected


def _gradient(head: ChunkedHead, responses: Sequence[HeadTokens], first: int) -> Tensor:
    """Both sides' gradients `[2, C, D]` for the rows of the head's matrix from `first` on."""
    weight_CD = head.weight[first : first + PART].float()
    bias_C = None if head.bias is None else head.bias[first : first + PART].float()
    gradient_2CD = torch.zeros(2, *weight_CD.shape, device=device())
    for one in responses:
        for hidden_TD, targets_T, normaliser_T in _pieces(one, head.chunk):
            slope_TC = -(linear(hidden_TD, weight_CD, bias_C) - normaliser_T[:, None]).exp()
            at_T = targets_T - first
            (inside,) = ((at_T >= 0) & (at_T < len(weight_CD))).nonzero(as_tuple=True)
            slope_TC[inside, at_T[inside]] += 1.0
            part_CD = slope_TC.T @ hidden_TD
            for side, times in enumerate(one.sides):
                gradient_2CD[side] += times * part_CD
    return gradient_2CD


def _pieces(one: HeadTokens, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    return zip(*(torch.split(part, size) for part in (one.hidden_TD, one.targets_T, one.normaliser_T)), strict=True)
