"""What kernels aim at, and what shifts or multiplies: parts that are a number per example without a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from loop.losses.parts import Domain, Needs, Options, Part, given

STRENGTHS = Needs(strengths=True)
MARGINS = Needs(margins=True)


def constant(value: Callable[[Options], float], **options: float) -> Part:
    """The same number for every example, made of options."""
    return Part(lambda pairs, o: torch.full_like(pairs.strength, value(o)), options=options)


ONE = constant(lambda o: 1.0)
"""A hard label, a margin of one, or no factor."""
ZERO = constant(lambda o: 0.0)
"""No target, no shift."""

# Targets of the logistic kernel: probabilities that chosen beats rejected.

STRENGTH = Part(lambda pairs, o: pairs.strength, STRENGTHS)
"""The judged probability."""
SMOOTHED = constant(lambda o: 1 - o["eps"], eps=0.1)
"""A hard label that is wrong with probability `eps` (cDPO)."""
UNBIASED = constant(lambda o: (1 - o["eps"]) / (1 - 2 * o["eps"]), eps=0.1)
"""Above 1: in expectation over labels flipped with probability `eps` it is the hard label's loss (rDPO)."""
CERTAINTY = Part(
    lambda pairs, o: 1 - 1 / (1 + o["mu"] * (1 - given(pairs.gain).clamp(0, math.log(2)))),
    Needs(certainty=True),
    {"mu": 9.0},
)
"""From an estimator's information gain B, in nats between 0 and ln 2: 1 - 1/(1 + mu*(1 - B)), 0.9 when B is 0.

The published smoothing divides (1 - B)*mu by its sum over all pairs: mu cancels, every pair gets about 1/n, and the
target falls towards 0 for certain pairs too, which flips all labels. Without that sum the formula does what its text
says (UPO)."""
RIGHT_WAY = Domain(
    lambda mu: mu >= 1 / (1 - math.log(2)),
    "must be at least 1/(1 - ln 2) = 3.259, below which uncertain labels are flipped",
)
"""Where the target is at least a half for every gain."""

# Targets of the squared kernel: margins of log-ratios, in nats.

HALF_STEP = constant(lambda o: 1 / (2 * o["tau"]), tau=0.1)
"""1 / (2 tau) (IPO)."""
HALF_ETA = constant(lambda o: 1 / (2 * o["eta"]), eta=0.005)
"""1 / (2 eta) (INPO)."""
ADVANTAGE = Part(lambda pairs, o: (pairs.strength - 0.5) / o["beta"], STRENGTHS, {"beta": 0.1})
"""(P(chosen beats rejected) - 1/2) / beta (online IPO)."""
WIN_RATE_GAP = Part(lambda pairs, o: pairs.margin / o["beta"], MARGINS, {"beta": 0.1})
"""Difference of both sides' win rates against an opponent, over beta (mirror descent)."""
MARGIN = Part(lambda pairs, o: pairs.margin, MARGINS)
"""The judge's gap itself; as a factor, a weight (RDO)."""
DELTA = constant(lambda o: o["delta"], delta=1.0)
"""A margin of log-probs (SLiC-HF)."""

# Shifts of the score.

GAMMA = constant(lambda o: -o["gamma"], gamma=1.4)
"""A margin that the score must exceed (SimPO)."""
OFFSET = Part(lambda pairs, o: -o["alpha"] * pairs.margin, MARGINS, {"alpha": 1.0})
"""A margin of its own for each pair, `alpha` times the judge's gap (ODPO)."""
LENGTH = Part(lambda pairs, o: o["alpha"] * (pairs.chosen.n - pairs.rejected.n), options={"alpha": 0.01})
"""`alpha` per token by which chosen is longer. Plus: with a reward r - alpha*n, the optimum's r is beta*log-ratio +
alpha*n, so that a longer chosen answer counts as partly satisfied (R-DPO)."""
OTHER_OBJECTIVES = Part(lambda pairs, o: -(1 - o["w0"]) * pairs.margin, MARGINS, {"w0": 0.5})
"""Minus the gap in the other objectives' weighted mean reward, with the weight left to them (MODPO)."""

# Stretches of the whole score, and factors of the kernel.

SHARPNESS = Part(lambda pairs, o: 2 * pairs.strength - 1, STRENGTHS)
"""2p - 1: none for a tie (GDPO)."""
GROWING = Part(
    lambda pairs, o: 1 - o["w"] * torch.expm1(-o["k"] * pairs.margin.clamp(min=0)), MARGINS, {"w": 0.5, "k": 0.5}
)
"""1 + w*(1 - exp(-k*gap)), from 1 to 1 + w (MM-DPO)."""
PER_WEIGHT = constant(lambda o: 1 / o["w0"], w0=0.5)
"""1 / w0 (MODPO)."""
TWO_PER_BETA = constant(lambda o: 2 / o["beta"], beta=0.1)
"""2 / beta, with which small beta becomes gradient ascent (NPO)."""
