"""Win rates with intervals that count prompts, not answers.

The interval is a Bayesian bootstrap over prompts (Rubin 1981): each of `DRAWS` draws weighs the prompts anew, with
weights from a flat Dirichlet distribution. Besides the observed outcomes there are half a prompt that was lost and half
a prompt that was won, as in Jeffreys' prior, for what so few prompts could not show: where every outcome is 0 or 1 the
interval is Jeffreys' (Beta(wins + 1/2, losses + 1/2)), and where all outcomes are equal, were it one half each, it
still has a width, of about two prompts in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from loop.evaluation.comparison import Comparison, Opponent
from loop.evaluation.length_controlled import length_controlled

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
DRAWS = 4000
PRIOR = 0.5
"""Prompts that are thought lost, and as many won, besides those that were seen."""


def win_rate(outcomes_P: Sequence[float], seed: int) -> tuple[float, float, float]:
    """(rate, low, high): the mean outcome and its 95 % interval, `low <= rate <= high`. `outcomes_P` are one number
    from 0 to 1 per prompt; several answers to a prompt make it a fraction. ValueError where there is none."""
    rate, means = _mean(outcomes_P), _weighed(outcomes_P, seed)
    low, high = np.quantile(means, [(1.0 - LEVEL) / 2, (1.0 + LEVEL) / 2])
    return rate, min(float(low), rate), max(float(high), rate)


def lower_bound(outcomes_P: Sequence[float], confidence: float, seed: int) -> float:
    """What the win rate exceeds with this confidence: the one-sided bound of the same bootstrap, never above the mean
    outcome. ValueError where there is no outcome."""
    rate = _mean(outcomes_P)
    return min(float(np.quantile(_weighed(outcomes_P, seed), 1.0 - confidence)), rate)


def standard_error(outcomes_P: Sequence[float]) -> float:
    """Standard deviation of the bootstrap's mean, in closed form, so never 0: with total weight A = P + 1, the variance
    of the outcomes and the two halves, over A + 1. ValueError where there is no outcome."""
    _mean(outcomes_P)
    values_V, weights_V = _weights(outcomes_P)
    total = weights_V.sum()
    mean = weights_V @ values_V / total
    variance = weights_V @ (values_V - mean) ** 2 / total
    return float(np.sqrt(variance / (total + 1.0)))


def compare(
    against: Opponent,
    version: str,
    outcomes: Mapping[str, float],
    lengths: Mapping[str, tuple[float, float]],
    seed: int,
    difficulty: Mapping[str, float] | None = None,
) -> Comparison:
    """A policy against the one of the label `version`. By prompt: `outcomes` (at least one, otherwise ValueError),
    `lengths` (mean number of tokens of the policy's and of its opponent's answers) and, where known, `difficulty`;
    these two for every outcome's prompt, otherwise KeyError."""
    prompts = sorted(outcomes)
    outcomes_P = [outcomes[one] for one in prompts]
    rate, low, high = win_rate(outcomes_P, seed)
    longer_P = [lengths[one][0] - lengths[one][1] for one in prompts]
    difficulty_P = None if difficulty is None else [difficulty[one] for one in prompts]
    controlled = length_controlled(outcomes_P, longer_P, difficulty_P)
    return Comparison(against, version, len(prompts), rate, low, high, controlled)


def _mean(outcomes_P: Sequence[float]) -> float:
    if not len(outcomes_P):
        raise ValueError("Without a prompt's outcome there is no win rate.")
    return float(np.mean(outcomes_P))


def _weights(outcomes_P: Sequence[float]) -> tuple[Floats, Floats]:
    """The different outcomes `[V]`, those of the prior included, and how many prompts each stands for."""
    values_V, counts_V = np.unique([0.0, 1.0, *outcomes_P], return_counts=True)
    weights_V = counts_V.astype(np.float64)
    weights_V[[0, -1]] -= 1.0 - PRIOR
    return values_V, weights_V


def _weighed(outcomes_P: Sequence[float], seed: int) -> Floats:
    """Mean outcomes `[DRAWS]` under Dirichlet weights; those of equal outcomes add up, so they are drawn together."""
    values_V, weights_V = _weights(outcomes_P)
    drawn = np.random.default_rng(seed).standard_gamma(weights_V, size=(DRAWS, len(values_V)))
    means: Floats = drawn @ values_V / drawn.sum(axis=1)
    return means
