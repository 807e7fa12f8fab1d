"""Elo scores of competitors from their battles, as Meta-Rewarding (arXiv:2407.19594) ranks a judge's judgements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PRIOR = 1e-6
"""Precision of the normal prior around 0: too weak to move a score, strong enough that who never lost has one."""

STEPS = 100
TOLERANCE = 1e-9


def battle_matrix(battles: Iterable[tuple[int, int, float | None]], size: int) -> list[list[float]]:
    """Wins `[M, M]` of m over n with the judge's liking for a position weighed out.

    A battle is (shown first, shown second, probability that the first wins); None is a failed one and does not count.
    With f and s the wins of the first and of the second position over all battles, a win as first counts s / (f + s)
    and a win as second f / (f + s): both positions come to the same sum.
    """
    known = [(first, second, p) for first, second, p in battles if p is not None]
    as_first = sum(p for _, _, p in known)
    as_second = len(known) - as_first
    wins_MM = [[0.0] * size for _ in range(size)]
    for first, second, p in known:
        wins_MM[first][second] += p * as_second / len(known)
        wins_MM[second][first] += (1.0 - p) * as_first / len(known)
    return wins_MM


def elo(wins_MM: Sequence[Sequence[float]]) -> list[float]:
    """Scores `[M]` e that maximise sum_mn wins[m][n] * log sigmoid(e_m - e_n), in natural-log units (a chess rating is
    this times 400 / log 10) and with mean 0. A win over oneself says nothing.

    Where the maximum is at infinity, since somebody never lost or two camps never met, a weak prior keeps scores finite
    and in the order that the wins give. Newton's method with halved steps; the objective is strictly concave.
    """
    wins = np.array(wins_MM, dtype=np.float64)
    scores = np.zeros(len(wins))
    for _ in range(STEPS):
        p = np.exp(_log_sigmoid(scores[:, None] - scores[None, :]))
        gradient = (wins * p.T - wins.T * p).sum(axis=1) - PRIOR * scores
        curvature = (wins + wins.T) * p * p.T
        step = np.linalg.solve(np.diag(curvature.sum(axis=1) + PRIOR) - curvature, gradient)
        while _objective(wins, scores + step) < _objective(wins, scores) and np.abs(step).max() > TOLERANCE:
            step /= 2
        scores += step
        if np.abs(step).max() <= TOLERANCE:
            break
    centred: list[float] = (scores - scores.mean()).tolist()
    return centred


def _objective(wins_MM: Floats, scores_M: Floats) -> float:
    fit = (wins_MM * _log_sigmoid(scores_M[:, None] - scores_M[None, :])).sum()
    return float(fit - 0.5 * PRIOR * scores_M @ scores_M)


def _log_sigmoid(x: Floats) -> Floats:
    return -np.logaddexp(0.0, -x)
