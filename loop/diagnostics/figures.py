"""The formulas behind the diagnostics, over plain numbers and arrays. Axes: `_N` pairs, `_K` responses, `_T` tokens."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

HARD = 5.0
"""Nats by which the reference prefers the rejected answer of a pair that is called difficult."""


def ranking_accuracy(chosen_N: ArrayLike, rejected_N: ArrayLike) -> float:
    """Share of pairs whose chosen answer the policy finds at least as likely, from log-probs: sums, or means per token
    (Chen et al. 2024, arXiv:2405.19534). Not the implicit accuracy, which compares with a reference."""
    return float(np.mean(np.asarray(chosen_N) >= np.asarray(rejected_N)))


def implicit_accuracy(chosen_ratio_N: ArrayLike, rejected_ratio_N: ArrayLike) -> float:
    """Share of pairs whose chosen answer has the larger log-ratio to the reference."""
    return float(np.mean(np.asarray(chosen_ratio_N) > np.asarray(rejected_ratio_N)))


def ideal_margin(strength_N: ArrayLike, reference_gap_N: ArrayLike, beta: float) -> np.ndarray:
    """Log-prob margin chosen - rejected of the policy that is optimal at this `beta`, `[N]`: (rf_w - rf_l) +
    ln(p / (1 - p)) / beta, with p the pair's strength (arXiv:2405.19534). A strength of 1 gives plus
    infinity."""
    p_N = np.asarray(strength_N, np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(reference_gap_N, np.float64) + (np.log(p_N) - np.log1p(-p_N)) / beta


def ideal_ranking_accuracy(strength_N: ArrayLike, reference_gap_N: ArrayLike, beta: float) -> float:
    """Ranking accuracy of the policy that is optimal at this `beta`: what learning to its end could come to."""
    return float(np.mean(ideal_margin(strength_N, reference_gap_N, beta) > 0))


def hard_share(chosen_N: ArrayLike, rejected_N: ArrayLike) -> float:
    """Share of pairs whose rejected answer the reference finds likelier by more than `HARD` nats (sums of log-probs):
    the loss must come very low before such a pair is ranked right (arXiv:2405.19534, theorem 4.1)."""
    return float(np.mean(np.asarray(rejected_N) - np.asarray(chosen_N) > HARD))


def entanglement(inner: float, chosen_square: float, rejected_square: float) -> tuple[float, float]:
    """How far the gradients of the two sides' log-probs go together: <g_w, g_l> / min(|g_w|^2, |g_l|^2), and their
    cosine (Yuan et al. 2024, arXiv:2410.13828). Above 1 a small step on the margin moves both log-probs in the same
    direction. Not a number where a gradient vanishes."""
    least = min(chosen_square, rejected_square)
    if least <= 0:
        return math.nan, math.nan
    return inner / least, inner / math.sqrt(chosen_square * rejected_square)


def kl_tokens(policy_T: ArrayLike, anchor_T: ArrayLike, sampler_T: ArrayLike) -> np.ndarray:
    """KL(policy || anchor) at each token of an answer that the sampler wrote, `[T]`, from the three log-probs of that
    token: u ln(u / v) - u + v with u and v the policy's and the anchor's probability over the sampler's.

    Its mean over the sampler's tokens is the divergence, and it is never negative. With sampler = policy it is the
    estimator v - 1 - ln v.
    """
    policy, anchor, sampler = (np.asarray(one, np.float64) for one in (policy_T, anchor_T, sampler_T))
    u, v = np.exp(policy - sampler), np.exp(anchor - sampler)
    result: np.ndarray = u * (policy - anchor) - u + v
    return result


def correlation_within(groups_K: ArrayLike, x_K: ArrayLike, y_K: ArrayLike) -> float:
    """Pearson correlation of two quantities of responses, each less its mean in the response's group: what differs
    between prompts plays no part. Not a number where one of them does not vary inside groups."""
    _, group_K = np.unique(np.asarray(groups_K), return_inverse=True)
    x, y = (_centred(group_K, np.asarray(values, np.float64)) for values in (x_K, y_K))
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 1e-12 else math.nan


def _centred(group_K: np.ndarray, values_K: np.ndarray) -> np.ndarray:
    sums, counts = np.bincount(group_K, values_K), np.bincount(group_K)
    centred: np.ndarray = values_K - (sums / np.maximum(counts, 1))[group_K]
    return centred


def calibration_error(confidence_N: ArrayLike, right_N: ArrayLike, bins: int = 5) -> float:
    """Expected calibration error: |mean confidence - share right|, weighted by size, over equal bins of the confidence
    from one half to one. `right_N` is 1, 0, or one half for a tie."""
    confidence, right = np.asarray(confidence_N, np.float64), np.asarray(right_N, np.float64)
    # a bin's lower edge belongs to it; rounding must not move a confidence that is such an edge
    bin_N = np.minimum(((confidence - 0.5) * 2 * bins + 1e-9).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_N, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
