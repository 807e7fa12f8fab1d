"""Intervals for means of bounded values that hold for any number of them, and are short where they vary little.

Bets against every mean that could be true: the wealth of one who bets fairly seldom multiplies by 2 / error, so means
against which it does are left out (Waudby-Smith and Ramdas 2023, arXiv:2010.09686, the hedged capital of theorem 3). A
bootstrap's interval would have no length where no value differs from the others.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

HALVINGS = 40
STAKE = 0.75
"""Share of the wealth that a bet may lose at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Independent values `[N]`, N > 0, none of them below `least` or above `most`."""

    values_N: Array
    least: float = 0.0
    most: float = 1.0

    @property
    def mean(self) -> float:
        """The mean seen."""
        return float(self.values_N.mean())

    def interval(self, error: float) -> tuple[float, float]:
        """An interval that holds the expected value but for a share `error` of samples."""
        middle, half = (self.most + self.least) / 2, (self.most - self.least) / 2
        low, high = mean_interval(((self.values_N - middle) / half).tolist(), error)
        return middle + half * low, middle + half * high

    def less(self, other: Values) -> Values:
        """The differences from another's values of the same cases."""
        return Values(self.values_N - other.values_N, self.least - other.most, self.most - other.least)


def macro_interval(subsets: Sequence[Values], error: float) -> tuple[float, float]:
    """An interval for the mean of the subsets' expected values: the mean of intervals which, each with an equal part
    of the error, all hold together."""
    ends = [one.interval(error / len(subsets)) for one in subsets]
    return sum(low for low, _ in ends) / len(ends), sum(high for _, high in ends) / len(ends)


def mean_interval(values_N: Sequence[float], error: float) -> tuple[float, float]:
    """An interval that holds the expected value of independent values in [-1, 1], N > 0, but for a share `error` of
    samples. The order of the values does not tell anything, so it is drawn, always in the same way."""
    unit_N = (np.array(random.Random(0).sample(list(values_N), len(values_N))) + 1.0) / 2
    stakes_N = _stakes(unit_N, error)
    return 2 * _lowest(unit_N, stakes_N, error) - 1, 1 - 2 * _lowest(1.0 - unit_N, stakes_N, error)


def _stakes(unit_N: Array, error: float) -> Array:
    """What each bet stakes for values in [0, 1], by the variance of the values before it."""
    n = len(unit_N)
    count_N = np.arange(1, n + 1)
    mean_N = (0.5 + np.cumsum(unit_N)) / (count_N + 1)
    variance_N = (0.25 + np.cumsum((unit_N - mean_N) ** 2)) / (count_N + 1)
    return np.asarray(np.sqrt(2 * math.log(2 / error) / (n * np.concatenate([[0.25], variance_N[:-1]]))))


def _lowest(unit_N: Array, stakes_N: Array, error: float) -> float:
    """The lowest mean that bets on larger values do not rule out; wealth falls as the mean grows."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        mean = (low + high) / 2
        wealth = np.log1p(np.minimum(stakes_N, STAKE / mean) * (unit_N - mean)).sum()
        low, high = (mean, high) if wealth >= math.log(2 / error) else (low, mean)
    return low
