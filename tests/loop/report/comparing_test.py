from __future__ import annotations

from dataclasses import replace

import pytest

from loop.report.comparing import compare
from loop.summary import RunSummary
from loop.view.comparison_lines import comparison_lines, table_of
from loop.view.text import plain
from tests.loop.report.made import RUN, SCRIPT, scored

OTHER: RunSummary = replace(
    RUN,
    run="other-ipo-llm-5678",
    initial=replace(scored(0, 84), seconds={"round": 5.0}),
    rounds=[replace(scored(1, 150), kl=0.9, response_tokens_mean=12.0, seconds={"round": 25.0})],
    seconds_total=40.0,
)
CONFIGS = [
    {"seed": 0, "algorithm": {"name": "dpo", "k": 4}, "judge": {"name": "llm"}},
    {"seed": 0, "algorithm": {"name": "ipo", "k": 4, "tau": 0.1}, "judge": {"name": "llm"}},
]


def text(width: int = 140) -> str:
    return "\n".join(plain(line) for line in comparison_lines(compare([RUN, OTHER], CONFIGS), width))


def test_each_run_is_told_by_the_round_at_which_it_stands() -> None:
    first, second = compare([RUN, OTHER], CONFIGS).runs
    assert (first.letter, first.now.round, first.kept, first.rejected) == ("A", 4, 3, 2)
    assert (first.kl, first.length) == (1.6, 43.0)  # round 4's, on test prompts
    assert (second.letter, second.now.round, second.kept, second.rejected) == ("B", 1, 0, 0)
    assert (second.kl, second.length) == (0.9, 12.0)


def test_differences_have_intervals() -> None:
    """140 and 150 of 200: 0.05 apart. Wilson's intervals are 63.3 to 75.9 and 68.6 to 80.5 (in points), so Newcombe's
    are 5 - hypot(75 - 68.57, 75.93 - 70) = -3.74 and 5 + hypot(80.49 - 75, 70 - 63.32) = 13.65."""
    first, second = compare([RUN, OTHER], CONFIGS).runs
    assert first.beyond is None
    assert second.beyond is not None and second.change is not None
    told = second.beyond
    assert (told.difference, told.low, told.high) == pytest.approx((0.05, -0.0374, 0.1365), abs=1e-4)
    assert second.change.difference == pytest.approx(0.33)


def test_settings_that_differ_are_told_and_no_others() -> None:
    assert compare([RUN, OTHER], CONFIGS).settings == (
        ("algorithm.name", ("dpo", "ipo")),
        ("algorithm.tau", ("not there", "0.1")),
    )


def test_curves_lie_over_each_other() -> None:
    plots = {one.key: one for one in compare([RUN, OTHER], CONFIGS).curves}
    assert [one.name for one in plots["gold"].series] == [f"A {RUN.run}", f"B {OTHER.run}"]
    assert [point.y for point in plots["gold"].series[1].points] == [0.42, 0.75]
    assert [point.x for point in plots["spent"].series[1].points] == [5.0, 30.0]
    assert [point.x for point in plots["kl"].series[1].points] == [0.0, 0.9]
    assert [point.x for point in plots["gold"].series[0].points if point.crossed] == [3, 5]


def test_the_table_by_hand() -> None:
    header, first, second = table_of(compare([RUN, OTHER], CONFIGS))
    assert header == (
        "run", "gold before", "gold now", "change", "against A", "kept", "rejected", "KL", "length", "time",
    )  # fmt: skip
    assert first == (
        "A", "40.0% (33.5 to 46.9)", "70.0% (63.3 to 75.9)", "+30.0 (+20.4 to +38.8)", "-", "3", "2", "1.600", "43.0",
        "161",
    )  # fmt: skip
    assert second[0] == "B" and second[4] == "+5.0 (-3.7 to +13.6)" and second[5:] == (
        "-", "-", "0.900", "12.0", "40",
    )  # fmt: skip


def test_columns_that_nobody_has_are_left_out() -> None:
    header, *_ = table_of(compare([OTHER, replace(OTHER, run="third")], CONFIGS))
    assert "kept" not in header and "rejected" not in header


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_terminal_shows_it(width: int) -> None:
    shown = text(width)
    assert f"A  {RUN.run}\n   Better: " in shown
    assert "algorithm.name  A dpo, B ipo" in shown
    table = [line for line in shown.splitlines() if "+30.0 (" in line or line.startswith("run ")]
    assert len(table) == 2 and len({len(line) for line in table}) == 1


def test_a_narrow_terminal_does_without_some_columns() -> None:
    assert "gold before" in text(160)
    assert "gold before" not in text(100)
    assert max(len(line) for line in text(100).splitlines()) <= 100


def test_names_of_runs_are_made_visible() -> None:
    named = replace(OTHER, run=f"x\x1b[2J{SCRIPT}")
    shown = "\n".join(plain(line) for line in comparison_lines(compare([RUN, named], CONFIGS), 140))
    assert "\x1b" not in shown
