"""Kernels: functions of a scaled score `z` and a target, both `[N]`."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def logistic(z_N: Tensor, target_N: Tensor) -> Tensor:
    """Cross-entropy between a Bernoulli target and sigmoid(z): `-[t*ls(z) + (1-t)*ls(-z)]`, `ls` the log-sigmoid.

    `-ls(z)` is written softplus(-z), which neither overflows nor underflows. The derivative is sigmoid(z) - t.
    """
    return target_N * softplus(-z_N) + (1 - target_N) * softplus(z_N)
