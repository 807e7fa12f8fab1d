"""Bootstrap over cases. The same stream draws the same cases for two judges, so the difference of their draws is
paired; different streams draw independently."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TIMES = 2000


def mean_draws(values_N: Array, stream: str) -> Array:
    """The mean of every resample of N cases, drawn with replacement, `[TIMES]`."""
    n = len(values_N)
    picks = np.random.default_rng(zlib.crc32(stream.encode())).integers(n, size=(TIMES, n))
    return values_N[picks].mean(axis=1)


def interval(draws: Array) -> tuple[float, float]:
    """The middle 95 % of the draws."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)
