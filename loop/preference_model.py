"""Preferences of a general preference model (Zhang et al. 2024, arXiv:2410.02197): its judge gives each response of a
group a vector, and a pair's score is skew-symmetric in the two, so that preferences may go round in a circle.

The `win_rate_skew` rule and the `gpo` loss learn from such preferences.
"""

from __future__ import annotations

from collections.abc import Sequence

from loop.pairing.links import sigmoid
from loop.verdicts import Table

Vector = Sequence[float]


def skew_score(a_D: Vector, b_D: Vector, scales_L: Vector | None = None) -> float:
    """The score of a over b, minus that of b over a: sum over planes l of `scale_l * (a_2l b_2l+1 - a_2l+1 b_2l)`.

    D is even, and L = D / 2 planes have a scale each, all 1 by default (a model may make them from the prompt).
    """
    planes = zip(scales_L or [1.0] * (len(a_D) // 2), a_D[::2], a_D[1::2], b_D[::2], b_D[1::2], strict=True)
    return sum(scale * (a0 * b1 - a1 * b0) for scale, a0, a1, b0, b1 in planes)


def preferences(vectors_KD: Sequence[Vector], tau: float = 0.1, scales_L: Vector | None = None) -> Table:
    """P(i beats j) = sigmoid(score / tau), `[K, K]`; one half on the diagonal. `tau` is the temperature with which the
    model was fitted."""
    return tuple(tuple(sigmoid(skew_score(a_D, b_D, scales_L) / tau) for b_D in vectors_KD) for a_D in vectors_KD)
