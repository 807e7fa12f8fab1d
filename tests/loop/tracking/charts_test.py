"""Charts by hand."""

from __future__ import annotations

import pytest

from loop.records import CheckRow
from loop.tracking.charts import length_chart, reliability_chart


def asked(value: float | None, better: int | None, status: str = "decided") -> CheckRow:
    """A question of a judge's check and its reply."""
    return CheckRow(1, 0, "gold", "[]", "x", "y", better, "!", status, value, "judge")


def test_lengths_are_counted_in_bins_of_equal_width() -> None:
    small = length_chart("lengths", [0, 2, 2])
    assert small is not None and small.rows == (("0", 1), ("1", 0), ("2", 2))
    large = length_chart("lengths", [0, 3, 4, 63])  # 63 // 20 + 1 = 4 to a bin
    assert large is not None and len(large.rows) == 16
    assert large.rows[:2] == (("0-3", 2), ("4-7", 1)) and large.rows[-1] == ("60-63", 1)
    assert sum(int(count) for _, count in large.rows) == 4
    assert length_chart("lengths", []) is None


def test_reliability_compares_what_was_stated_with_what_was_so() -> None:
    rows = [asked(0.9, 0), asked(0.95, 1), asked(0.1, 1), asked(1.0, 0), asked(0.5, 0, "undecided")]
    left_out = [asked(None, 0, "failed"), asked(0.7, None)]
    chart = reliability_chart([*rows, *left_out])
    assert chart is not None
    points = [row for row in chart.rows if row[2] == "judge"]
    assert [row[3] for row in points] == [1, 1, 3], "tenths: 0.1, 0.5, and 0.9 to 1"
    assert points[0][:2] == (0.1, 0.0) and points[1][:2] == (0.5, 1.0)
    assert points[2][:2] == pytest.approx((0.95, 2 / 3))
    assert [row[:2] for row in chart.rows if row[2] == "calibrated"] == [(0.0, 0.0), (1.0, 1.0)]
    assert reliability_chart(left_out) is None
