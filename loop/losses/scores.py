"""Scores: what a kernel is applied to, before it is multiplied by beta. Most are a reward of the chosen response minus
that of the rejected one."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from loop.losses.batch import Side
from loop.losses.parts import ANCHOR, NOTHING, Needs, Options, Part, given

LARGEST_EXPONENT = 80.0
"""exp of it is a float32, also times a beta; beyond, a response's exponential stays constant and has no gradient."""


def difference(reward: Callable[[Side, Options], Tensor], needs: Needs = ANCHOR, **options: float) -> Part:
    """A reward of the chosen response minus that of the rejected one."""
    return Part(lambda pairs, o: reward(pairs.chosen, o) - reward(pairs.rejected, o), needs, options)


# Log-ratios to the anchor.

LOG_RATIO = difference(lambda side, o: side.ratio)
"""Margin of the log-ratios, sums over tokens (DPO)."""
MEAN_LOG_RATIO = difference(lambda side, o: side.mean_ratio)
"""The same per token (LN-DPO, IPO as its authors run it)."""


def _desensitised(side: Side, options: Options) -> Tensor:
    common = given(side.common)
    return common + options["alpha"] * (side.ratio - common)


DESENSITISED = difference(_desensitised, ANCHOR | Needs(common=True), alpha=0.5)
"""Tokens beyond the shorter side's length count `alpha` (LD-DPO)."""

PENALISED = Part(lambda pairs, o: pairs.h - o["lambda"] * relu(-pairs.chosen.ratio), ANCHOR, {"lambda": 50.0})
"""Log-ratios, less `lambda` for every nat by which the chosen answer has become less likely (DPOP)."""
OF_TWO_BETAS = Part(
    lambda pairs, o: o["beta"] * pairs.chosen.ratio - o["beta_rejected"] * pairs.rejected.ratio,
    ANCHOR,
    {"beta": 0.1, "beta_rejected": 0.02},
)
"""Log-ratios, each side's multiplied by a beta of its own (Flex-DPO)."""
FALL = Part(lambda pairs, o: -pairs.rejected.ratio, ANCHOR)
"""How much less likely the rejected answer has become (NPO)."""


def _two_anchors(side: Side, options: Options) -> Tensor:
    share = options["share"]
    return side.lp - share * side.rf - (1 - share) * given(side.second)


TWO_ANCHORS = difference(_two_anchors, Needs(anchors=2), share=1 / 3)
"""Log-ratios to a geometric mixture: first anchor with weight `share`, second with the rest (INPO, share tau/eta)."""

# f'(u) of the ratio u = policy / anchor of whole responses, constants dropped: other divergences than reverse KL.


def _box_cox(x: Tensor, alpha: float) -> Tensor:
    """(1 - exp(-alpha*x)) / alpha, which is x for alpha 0: large for very negative x only."""
    return x if alpha == 0 else -torch.expm1((-alpha * x).clamp(max=LARGEST_EXPONENT)) / alpha


JENSEN_SHANNON = difference(lambda side, o: logsigmoid(side.ratio))
"""log(u / (1 + u))."""
ALPHA_DIVERGENCE = difference(lambda side, o: _box_cox(side.ratio, o["alpha"]), alpha=0.5)
"""(1 - u^-alpha) / alpha; alpha 0 is reverse KL, 1 forward KL."""
FORWARD_KL = difference(lambda side, o: _box_cox(side.ratio, 1.0))
"""-1/u."""
CHI_SQUARED = difference(lambda side, o: side.ratio + side.ratio.clamp(max=LARGEST_EXPONENT).exp())
"""log u + u: a mixture of KL and chi-squared."""

# Log-probs, without an anchor.

LOG_PROB = difference(lambda side, o: side.lp, NOTHING)
"""Margin of the log-probs, sums over tokens (CPO)."""
MEAN_LOG_PROB = difference(lambda side, o: side.mean, NOTHING)
"""The same per token (SimPO)."""
TEMPERED_MEAN = difference(lambda side, o: _box_cox(side.mean, o["alpha"]), NOTHING, alpha=0.25)
"""(1 - p^-alpha) / alpha of the probability per token (AlphaPO)."""
CONSERVATIVE = Part(lambda pairs, o: pairs.chosen.lp - o["lambda"] * pairs.rejected.lp, NOTHING, {"lambda": 0.5})
"""Log-probs, the rejected one's counting `lambda`: no longer free of a common shift (CPL)."""


def certain_mean(side: Side) -> Tensor:
    """The policy's log-prob per token, kept below 0, where odds are finite."""
    return side.mean.clamp(max=-1e-6)


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, accurate at both ends."""
    return torch.where(x > -math.log(2), torch.log(-torch.expm1(x)), torch.log1p(-x.exp()))


def _log_odds(side: Side, options: Options) -> Tensor:
    mean = certain_mean(side)
    return mean - log1mexp(mean)


LOG_ODDS = difference(_log_odds, NOTHING)
"""Margin of log(p / (1 - p)), p the probability per token (ORPO). A mean and not a sum: whole responses have p = 0."""
