"""The win rate at equal length, after AlpacaEval 2 (Dubois et al. 2024, arXiv:2404.04475)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

Floats = npt.NDArray[np.float64]

MIN_PROMPTS = 30
"""With fewer there is no length-controlled win rate."""

RIDGE = 1e-3
"""Penalty RIDGE / 2 |w|^2 beside the summed loss: too weak to move a fit, strong enough that one to outcomes that a
length separates stays finite."""

GRADIENT = 1e-8
"""The fit ends where the gradient's norm is smaller."""


def length_controlled(
    outcomes_P: Sequence[float], longer_P: Sequence[float], difficulty_P: Sequence[float] | None = None
) -> float | None:
    """The win rate that a judge would have given if both policies' answers were equally long, 0 to 1.

    `outcomes_P`: by prompt the probability that the policy's answer is better (soft labels); `longer_P`: how many
    tokens it is longer than the opponent's; `difficulty_P`: how hard the prompt is, in any unit. Fitted is

        P(better) = sigmoid(theta + phi tanh(longer / std(longer)) + psi difficulty)

    by logistic regression; the win rate at equal length is its mean over prompts without the term in phi. As in the
    paper's code the difference is scaled, not centred, so that 0 stays equal length.

    None with fewer than `MIN_PROMPTS` prompts, and where the difference is the same, but not 0, at every prompt:
    nothing then tells length from quality. Where lengths never differ, the mean outcome is at equal length already.
    """
    outcomes, longer = np.asarray(outcomes_P, dtype=np.float64), np.asarray(longer_P, dtype=np.float64)
    if len(outcomes) < MIN_PROMPTS:
        return None
    if not longer.any():
        return float(outcomes.mean())
    if np.ptp(longer) == 0.0:
        return None
    columns = [np.ones_like(outcomes), np.tanh(longer / longer.std(ddof=1))]
    if difficulty_P is not None and np.ptp(difficulty_P) > 0.0:
        difficulty = np.asarray(difficulty_P, dtype=np.float64)
        columns.append((difficulty - difficulty.mean()) / difficulty.std())
    features_PF = np.stack(columns, axis=1)
    weights_F = _fit(features_PF, outcomes)
    features_PF[:, 1] = 0.0
    return float(expit(features_PF @ weights_F).mean())


def _fit(features_PF: Floats, outcomes_P: Floats) -> Floats:
    """Weights `[F]` of the logistic regression with soft labels: the minimum of the summed cross-entropy and the ridge,
    which is convex."""

    def loss(w: Floats) -> tuple[float, Floats]:
        logits = features_PF @ w
        entropy = (np.logaddexp(0.0, logits) - outcomes_P * logits).sum()
        return float(entropy + RIDGE / 2 * w @ w), features_PF.T @ (expit(logits) - outcomes_P) + RIDGE * w

    def curvature(w: Floats) -> Floats:
        p = expit(features_PF @ w)
        hessian: Floats = (features_PF.T * (p * (1.0 - p))) @ features_PF + RIDGE * np.eye(len(w))
        return hessian

    start = np.zeros(features_PF.shape[1])
    fitted: Floats = minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": GRADIENT}).x
    return fitted
