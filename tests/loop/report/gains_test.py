from __future__ import annotations

import pytest

from loop.report.gains import Gain, gain
from loop.summary import RoundSummary, wilson


def scored(right: int, n: int) -> RoundSummary:
    low, high = wilson(right, n)
    return RoundSummary(0, "r0-s0", None, right / n, low, high)


def test_the_interval_is_the_published_one() -> None:
    """Newcombe (1998), table II, contrast (a): 56/70 against 48/80, method 10 gives 0.0524 to 0.3339."""
    told = gain(scored(48, 80), scored(56, 70))
    assert told is not None
    assert told.difference == pytest.approx(0.2)
    assert (round(told.low, 4), round(told.high, 4)) == (0.0524, 0.3339)
    assert told.verdict == "better"


def test_the_other_way_round_it_is_as_much_worse() -> None:
    told = gain(scored(56, 70), scored(48, 80))
    assert told is not None
    assert (round(told.low, 4), round(told.high, 4)) == (-0.3339, -0.0524)
    assert told.verdict == "worse"


@pytest.mark.parametrize(("low", "high"), [(-0.01, 0.2), (-0.2, 0.01), (0.0, 0.1)])
def test_an_interval_with_zero_says_nothing(low: float, high: float) -> None:
    assert Gain(0.0, low, high).verdict == "unclear"


def test_what_was_not_measured_has_no_difference() -> None:
    unmeasured = RoundSummary(1, "r1-s1")
    assert gain(unmeasured, scored(1, 2)) is None
    assert gain(scored(1, 2), unmeasured) is None
