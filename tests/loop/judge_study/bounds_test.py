"""Intervals that hold for any number of cases: simulated with cases whose mean is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judge_study.bounds import Values, macro_interval, mean_interval
from tests.loop.judged import untimed

Draw = Callable[[random.Random], float]


def coin(share: float, worth: float = 1.0) -> Draw:
    """`worth` in a share of cases, else 0."""
    return lambda draw: worth * (draw.random() < share)


@untimed
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.integers(0, 9))
def test_an_interval_holds_the_mean_seen_whatever_the_order_and_mirrors(values: list[float], seed: int) -> None:
    low, high = mean_interval(values, 0.05)
    assert -1.0 <= low <= math.fsum(values) / len(values) <= high <= 1.0
    assert mean_interval([-value for value in values], 0.05) == pytest.approx((-high, -low))
    wider = mean_interval(values, 0.01)
    assert wider[0] <= low and high <= wider[1]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_the_interval_holds_the_true_mean_in_95_of_100_samples_of_whole_cases(share: float) -> None:
    """All strings of a case turn together, or none: what a bootstrap of entries would get wrong."""
    draw, missed = random.Random(0), 0
    for _ in range(400):
        low, high = mean_interval([float(draw.random() < share) for _ in range(40)], 0.05)
        missed += not low <= share <= high
    assert missed <= 20


def test_an_interval_is_shorter_where_cases_are_alike() -> None:
    alike, apart = [0.3] * 100, [1.0] * 30 + [0.0] * 70
    (a, b), (c, d) = mean_interval(alike, 0.05), mean_interval(apart, 0.05)
    assert b - a < 0.5 * (d - c) and a < 0.3 < b and c < 0.3 < d
    # Zeros are halves of [0, 1]. 200 bets of 3/4 multiply to 40 at the m of 0.75 (0.5 - m) / m = 40^(1/200) - 1.
    gain = 40 ** (1 / 200) - 1
    bound = 1 - 2 * (0.375 / (0.75 + gain))
    assert mean_interval([0.0] * 200, 0.05) == pytest.approx((-bound, bound), rel=0.05)  # the first bets are smaller


def drawn(draw: random.Random, value: Draw, n: int, least: float = 0.0, most: float = 1.0) -> Values:
    return Values(np.array([value(draw) for _ in range(n)]), least, most)


def missing(true: float, found: Callable[[random.Random], tuple[float, float]], times: int = 200) -> int:
    """How many of so many samples have an interval without the true value."""
    draw = random.Random(7)
    ends = [found(draw) for _ in range(times)]
    return sum(not low <= true <= high for low, high in ends)


@pytest.mark.parametrize("n", [1, 3, 8, 25])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.97])
def test_few_cases_have_an_interval_that_holds_the_share_and_one_that_holds_a_difference(n: int, share: float) -> None:
    assert missing(share, lambda draw: drawn(draw, coin(share), n).interval(0.05)) <= 10

    def paired(draw: random.Random) -> tuple[float, float]:
        return drawn(draw, coin(share), n).less(drawn(draw, coin(0.9), n)).interval(0.05)

    assert missing(share - 0.9, paired) <= 10


@pytest.mark.parametrize("sizes", [(2, 3, 4), (40, 5, 1, 12)])
def test_subsets_of_few_cases_have_a_macro_average_that_its_interval_holds(sizes: Sequence[int]) -> None:
    shares = [0.97, 0.9, 0.5, 0.02][: len(sizes)]

    def subsets(draw: random.Random) -> tuple[float, float]:
        return macro_interval([drawn(draw, coin(s), n) for s, n in zip(shares, sizes, strict=True)], 0.05)

    assert missing(sum(shares) / len(shares), subsets) <= 10


def test_subsets_share_the_error_and_the_macro_average_is_that_of_their_ends() -> None:
    parts = [Values(np.array([1.0] * 30 + [0.0] * at)) for at in (2, 9)]
    (a, b), (c, d) = (one.interval(0.025) for one in parts)
    assert macro_interval(parts, 0.05) == pytest.approx(((a + c) / 2, (b + d) / 2))
    assert macro_interval(parts[:1], 0.05) == parts[0].interval(0.05)
    assert a < parts[0].interval(0.05)[0], "which makes each of them wider"


def test_values_of_another_range_have_the_interval_of_that_range() -> None:
    unit = np.array([0.0, 0.25, 1.0, 1.0, 0.5, 1.0])
    low, high = Values(unit).interval(0.05)
    wide = Values(unit * 1.02 - 0.01, -0.01, 1.01)
    assert wide.interval(0.05) == pytest.approx((1.02 * low - 0.01, 1.02 * high - 0.01))
    assert mean_interval(2 * unit - 1, 0.05) == pytest.approx((2 * low - 1, 2 * high - 1))
    less = wide.less(Values(np.zeros(6)))
    assert (less.least, less.most, less.mean) == (-1.01, 1.01, wide.mean)


def test_cases_that_are_all_alike_leave_room_and_the_more_of_them_the_less() -> None:
    low = [Values(np.ones(n)).interval(0.05)[0] for n in (1, 3, 10, 100)]
    assert low == sorted(low) and low[0] < 0.05 and low[1] < 0.3 and 0.9 < low[-1] < 1.0
    assert all(Values(np.ones(n)).interval(0.05)[1] == 1.0 for n in (1, 100))
