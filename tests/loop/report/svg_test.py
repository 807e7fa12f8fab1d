from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from loop.report.plots import Bar, Bars, Curves, Histogram, Histograms, Plot, Point, Series
from loop.report.svg import draw
from tests.loop.report.made import HIDDEN, SCRIPT

POINTS = (Point(0, 0.4, 0.3, 0.5), Point(1, 0.6, 0.5, 0.7), Point(2, 0.2, 0.1, 0.3, crossed=True), Point(3, 0.8))
GOLD = Curves("gold", "Gold", "round", "gold score", (Series("kept", POINTS, 0),), unit="percent")
TIME = Bars("time", "Time", "seconds", ("learn", "push"), (Bar("1", (6.0, 2.0), 7.0), Bar("2", (3.0, 0.0))))
SCORES = Histograms("scores", "Scores", "score", 0.0, 2.0, (Histogram("1", (3, 1)), Histogram("2", (0, 0))))


def parsed(plot: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(str(draw(plot)))


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in root.iter() if name in one.get("class", "").split()]


@pytest.mark.parametrize("plot", [GOLD, TIME, SCORES])
def test_a_plot_has_a_name_and_a_description(plot: Plot) -> None:
    root = parsed(plot)
    ids = {one.get("id"): one for one in root.iter() if one.get("id")}
    named, described = (ids[one] for one in (root.get("aria-labelledby") or "").split())
    assert named.tag == "title" and named.text == plot.title
    assert described.tag == "desc" and described.text
    assert root.get("role") == "img"


def test_a_line_joins_what_was_kept_and_crosses_stand_beside() -> None:
    root = parsed(GOLD)
    (line,) = of_class(root, "l")
    assert len((line.get("points") or "").split()) == 3
    assert len(of_class(root, "span")) == 3  # the last point has no interval
    assert len(of_class(root, "x")) == 2  # at the point and in the legend
    assert "rejected by the gate" in "".join(root.itertext())


def test_higher_values_are_drawn_higher_and_later_ones_to_the_right() -> None:
    (line,) = of_class(parsed(GOLD), "l")
    places = [tuple(map(float, place.split(","))) for place in (line.get("points") or "").split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert places[0][1] > places[1][1] > places[2][1]


def test_the_description_tells_the_values() -> None:
    description = next(one.text or "" for one in parsed(GOLD).iter("desc"))
    assert "40.0% at 0, 60.0% at 1, 20.0% at 2 (rejected by the gate), 80.0% at 3" in description


def test_bars_are_as_long_as_their_parts() -> None:
    root = parsed(TIME)
    widths = [float(one.get("width") or 0) for one in of_class(root, "f") if one.get("height") == "16"]
    assert len(widths) == 3  # a part of no time is not drawn
    assert widths[0] == pytest.approx(3 * widths[1], abs=0.1)
    assert widths[0] == pytest.approx(2 * widths[2], abs=0.1)
    assert len(of_class(root, "mark")) == 1


def test_bins_are_as_tall_as_their_counts() -> None:
    heights = [float(one.get("height") or 0) for one in of_class(parsed(SCORES), "f")]
    assert len(heights) == 2
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.2)


def test_an_axis_from_zero_shows_zero() -> None:
    flat = Curves("length", "Length", "round", "tokens", (Series("a", (Point(1, 5.96), Point(2, 6.0)), 0),))
    assert "0" not in texts(flat)
    assert "0" in texts(Curves("l", "L", "round", "tokens", flat.series, from_zero=True))


def texts(plot: Plot) -> list[str]:
    return [one.text or "" for one in parsed(plot).iter("text")]


def test_everything_lies_inside() -> None:
    long = tuple(Series(f"series {at} " + 60 * "x", (Point(1, 1.0), Point(40, 2.0)), at) for at in range(8))
    root = parsed(Curves("many", "Many", "round", "y", long))
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    for one in root.iter():
        for name, most in (("x", width), ("y", height), ("cx", width), ("cy", height), ("x2", width), ("y2", height)):
            if (value := one.get(name)) is not None:
                assert -5 <= float(value) <= most


def test_names_are_escaped() -> None:
    nasty = Curves("k", SCRIPT, SCRIPT, HIDDEN, (Series(SCRIPT, POINTS, 0), Series(HIDDEN, POINTS, 1)))
    markup = str(draw(nasty))
    assert "<script" not in markup
    assert not re.search("[\x00\x1b\u202e\u2066]", markup)
    assert ElementTree.fromstring(markup) is not None


def test_shapes_differ_where_colours_begin_again() -> None:
    series = tuple(Series(str(at), (Point(1, float(at)),), at) for at in range(12))
    root = parsed(Curves("k", "t", "round", "y", series))
    marks = [
        (one.tag, one.get("class"), re.sub(r"^M\S+ [\d.]+", "", one.get("d") or "")) for one in of_class(root, "m")
    ]
    assert len(set(marks)) == 12
