"""Kernels: functions of a scaled score `z` and a target, both `[N]`."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

from loop.losses.parts import Kernel, Options


def logistic(z_N: Tensor, target_N: Tensor) -> Tensor:
    """Cross-entropy between a Bernoulli target and sigmoid(z): `-[t*ls(z) + (1-t)*ls(-z)]`, `ls` the log-sigmoid.

    `-ls(z)` is written softplus(-z), which neither overflows nor underflows. The derivative is sigmoid(z) - t. A target
    outside [0, 1] (robust DPO) makes it unbounded below.
    """
    return target_N * softplus(-z_N) + (1 - target_N) * softplus(z_N)


def _logistic(z_N: Tensor, target_N: Tensor, options: Options) -> Tensor:
    return logistic(z_N, target_N)


def _squared(z_N: Tensor, target_N: Tensor, options: Options) -> Tensor:
    return (z_N - target_N).square()


def _hinge(z_N: Tensor, target_N: Tensor, options: Options) -> Tensor:
    return relu(target_N - z_N)


def _reverse_kl(z_N: Tensor, target_N: Tensor, options: Options) -> Tensor:
    right_N = z_N.sigmoid() * (logsigmoid(z_N) - target_N.log())
    wrong_N = (-z_N).sigmoid() * (logsigmoid(-z_N) - (1 - target_N).log())
    return right_N + wrong_N


def _modulated(z_N: Tensor, target_N: Tensor, options: Options) -> Tensor:
    gate_N = z_N / options["tau"]
    # sigmoid(gate) * exp(-z) as one exponential: both factors leave the range of floats, their product does not.
    return (-gate_N).sigmoid() * logistic(z_N, target_N) + (logsigmoid(gate_N) - z_N).exp()


LOGISTIC = Kernel(_logistic)
"""Cross-entropy with a target probability."""
SQUARED = Kernel(_squared)
"""Regression to a target margin."""
HINGE = Kernel(_hinge)
"""max(0, target - z): no gradient once the target margin is reached."""
REVERSE_KL = Kernel(_reverse_kl)
"""KL(sigmoid(z) || target) between Bernoulli distributions, target inside (0, 1): seeks a mode, and its gradient
vanishes on both tails."""
MODULATED = Kernel(_modulated, {"tau": 0.05})
"""Logistic below zero and exponential above, blended by sigmoid(z / tau); not convex. `tau` below 1.

At z = 0, where the policy is the anchor, its slope is (1 - ln 2) / (4 tau) - 3/4, positive for tau below 0.102: there
every pair is pushed the wrong way. So it was published, with tau 0.05 (DiscoPOP)."""
