from __future__ import annotations

from dataclasses import replace

import pytest

from loop.report.curves import MOST, drawn, gold_curve, learning_curves
from loop.report.times import OTHERS, time_bars
from loop.summary import RoundSummary
from tests.loop.report.made import RUN, scored, trained

BARE = replace(RUN, rounds=[scored(1, 100)], initial=scored(0, 80))


def test_the_gold_curve_has_every_round_with_rejected_ones_marked() -> None:
    plot = gold_curve(RUN)
    assert plot is not None
    gold, retained = plot.series
    assert [point.y for point in gold.points] == [0.4, 0.55, 0.64, 0.45, 0.7, 0.66]
    assert [point.x for point in gold.points if point.crossed] == [3, 5]
    assert (gold.points[0].low, gold.points[0].high) == (RUN.initial.gold_low, RUN.initial.gold_high)
    assert [point.y for point in retained.points] == pytest.approx([0.59, 0.58, 0.57, 0.56, 0.55])


def test_win_rates_are_told_against_each_opponent() -> None:
    plot = {one.key: one for one in learning_curves(RUN)}["wins"]
    rates = {one.name: [point.y for point in one.points] for one in plot.series}
    assert rates == {
        "against the policy before": [0.58, 0.58, 0.44, 0.58, 0.44],
        "against the best so far": [0.55] * 5,
        "against the initial policy": [0.6] * 5,
    }
    assert plot.level == 0.5
    assert plot.series[0].points[2].crossed


def test_curves_that_a_run_lacks_are_left_out() -> None:
    assert [one.key for one in learning_curves(BARE)] == []
    assert gold_curve(replace(BARE, initial=RoundSummary(0, "r0"), rounds=[])) is None
    keys = [one.key for one in learning_curves(RUN)]
    assert keys == ["wins", "kl", "length", "loss", "diversity"]


def test_of_many_rounds_some_are_drawn_and_every_rejected_one() -> None:
    many = [trained(n, 100, "r0-s0" if n == 501 else None) for n in range(1, 1001)]
    shown = [one.round for one in drawn(replace(RUN, rounds=many))]
    assert len(shown) in (MOST, MOST + 1)
    assert (shown[0], shown[-1]) == (0, 1000)
    assert 501 in shown
    assert shown == sorted(shown)


def test_time_goes_to_the_longest_phases_and_the_rest() -> None:
    plot = time_bars(RUN)
    assert plot is not None
    assert plot.parts == ("generate", "judge", "learn", "evaluate", "score", "kl", OTHERS)
    assert [bar.label for bar in plot.bars] == ["0", "1", "2", "3", "4", "5"]
    assert plot.bars[1].parts_P == pytest.approx((8.0, 9.0, 11.0, 3.0, 1.0, 0.7, 0.9))  # pair 0.4 and push 0.5
    assert plot.bars[1].mark == 29.0
    assert plot.bars[0].parts_P == pytest.approx((0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 1.0))


def test_without_seconds_there_are_no_bars() -> None:
    assert time_bars(BARE) is None
