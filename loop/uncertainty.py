"""How much several estimates of one pair disagree, and how seldom such pairs are drawn (UPO, arXiv:2409.11212)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean


def information_gain(probabilities_T: Sequence[float]) -> float:
    """H(mean_t p_t) - mean_t H(p_t) in nats, from 0 to log 2: what the T estimates of one probability (dropout passes,
    members of an ensemble) disagree about. An estimate that is unsure in every pass gains nothing."""
    return max(0.0, _entropy(fmean(probabilities_T)) - fmean(map(_entropy, probabilities_T)))  # rounding below 0


def sampling_weights(gains_N: Sequence[float]) -> list[float]:
    """Shares `[N]`, in the order given and adding up to 1, in which pairs with these information gains (nats) are
    drawn: (1 - B_j) / sum_k (1 - B_k). The paper's factor mu stands above and below and cancels."""
    total = math.fsum(1.0 - gain for gain in gains_N)
    return [(1.0 - gain) / total for gain in gains_N]


def _entropy(p: float) -> float:
    """Of a coin that falls on one side with probability p, in nats."""
    return -sum(x * math.log(x) for x in (p, 1.0 - p) if x > 0.0)
