"""Figures and foreign text as a person reads them."""

from __future__ import annotations

import pytest

from loop.view.text import (
    clock,
    count,
    duration,
    labelled,
    number,
    percent,
    plain,
    points,
    seconds,
    short_number,
    visible,
)


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (percent, 0.4314, "43.1%"),
        (percent, 1.0, "100%"),
        (percent, 0.9994, "99.9%"),
        (percent, None, "-"),
        (points, 0.2214, "+22.1"),
        (points, -0.05, "-5.0"),
        (points, -0.0001, "0.0"),
        (number, 0.61234, "0.612"),
        (number, -12.345, "-12.35"),
        (number, 0.0, "0"),
        (number, 4.2e-6, "4e-06"),
        (number, 99999.0, "1e+05"),
        (short_number, 1.844, "1.84"),
        (short_number, 99.97, "100"),
        (count, 9999, "9999"),
        (count, 12345, "12k"),
        (count, 999_600, "1M"),
        (seconds, 0.41, "0.4"),
        (seconds, 9.96, "10"),
        (seconds, 999.6, "17m"),
        (seconds, 43_200.0, "12h"),
        (duration, 8.06, "8.1 s"),
        (duration, 59.97, "1 min 0 s"),
        (duration, 161.4, "2 min 41 s"),
        (duration, 11_100.0, "3 h 5 min"),
        (clock, 62.9, "1:02"),
        (clock, 3723.0, "1:02:03"),
        (visible, "a\x1b[31m\n\u202eb", "a\\x1b[31m\\n\\u202eb"),
        (visible, "ünïcode 中", "ünïcode 中"),
    ],
)
def test_figures(function: object, value: object, text: str) -> None:
    assert callable(function)
    assert function(value) == text


def test_labels_align_and_long_values_hang() -> None:
    lines = [
        plain(line) for line in labelled([("run", "demo"), ("algorithm", "one two three four five"), ("", "go")], 31)
    ]
    assert lines == ["run        demo", "algorithm  one two three four", "           five", "go"]


def test_a_path_is_not_cut() -> None:
    path = "/a" * 60
    assert [plain(line) for line in labelled([("folder", path)], 40)] == ["folder  " + path]
