from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.uncertainty import information_gain, sampling_weights
from tests.loop.judged import untimed


def test_estimates_that_agree_gain_nothing_and_opposite_ones_almost_a_bit() -> None:
    # UPO's three examples
    assert information_gain([0.9, 0.9, 0.9]) == pytest.approx(0.0, abs=1e-12)
    assert information_gain([0.9, 0.1, 0.5]) == pytest.approx(0.245376, abs=1e-6)
    assert information_gain([0.99, 0.01]) == pytest.approx(0.637146, abs=1e-6)
    assert information_gain([1.0, 0.0]) == pytest.approx(math.log(2))
    assert information_gain([0.5, 0.5]) == 0.0, "unsure in every pass is not uncertain about the pass"
    assert information_gain([0.28183784439970383, 0.28183784439970394]) == 0.0, "nor is rounding a negative gain"


@untimed
@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_the_gain_lies_between_nothing_and_one_bit_whichever_side_is_meant(estimates: list[float]) -> None:
    gain = information_gain(estimates)
    assert 0.0 <= gain <= math.log(2) + 1e-12
    assert information_gain([1.0 - p for p in estimates]) == pytest.approx(gain, abs=1e-12)


def test_certain_pairs_are_drawn_more_often() -> None:
    weights = sampling_weights([0.009647, 0.245376, 0.003373])
    assert weights == pytest.approx([0.361231, 0.275249, 0.36352], abs=1e-6)
    assert sum(weights) == pytest.approx(1.0)
    assert sampling_weights([]) == []
