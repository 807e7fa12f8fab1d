from __future__ import annotations

import pytest

from loop.report.scale import Scale, extent, tick_label, ticks


def test_a_scale_maps_its_ends_onto_its_ends() -> None:
    scale = Scale(2.0, 4.0, 100.0, 0.0)
    assert [scale(2.0), scale(3.0), scale(4.0)] == [100.0, 50.0, 0.0]


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0.0, 1.0, False, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.38, 0.92, False, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        (0.9, 3.1, True, [1.0, 2.0, 3.0]),
        (0.0, 31.0, False, [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]),
        (-2.0, 2.0, False, [-2.0, -1.0, 0.0, 1.0, 2.0]),
    ],
)
def test_ticks_are_round_values_inside(low: float, high: float, whole: bool, expected: list[float]) -> None:
    assert ticks(low, high, whole) == pytest.approx(expected)


def test_an_extent_has_air_and_is_never_empty() -> None:
    assert extent([1.0, 2.0]) == pytest.approx((0.94, 2.06))
    assert extent([0.0, 1.0], 0.0, 1.0) == (0.0, 1.0)
    for values in ([], [0.0], [5.0, 5.0], [1.0]):
        low, high = extent(values)
        assert low < high


@pytest.mark.parametrize(
    ("value", "percent", "step", "label"),
    [(0.4, True, 0.1, "40%"), (0.405, True, 0.005, "40.5%"), (20.0, False, 10.0, "20"), (0.15, False, 0.05, "0.15")],
)
def test_labels_are_as_fine_as_the_step(value: float, percent: bool, step: float, label: str) -> None:
    assert tick_label(value, percent, step) == label
