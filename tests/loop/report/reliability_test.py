from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loop.records import Prompt, VerdictRow
from loop.report.reliability import FEWEST, Case, bins_of, read_cases, reliability_plot
from loop.report.tables import tables
from loop.summary import wilson
from tests.loop.factories import response
from tests.loop.run_folders import Rows, begun


def test_bins_tell_how_often_the_choice_is_right() -> None:
    # in [0.5, 0.6): 8 of 10 choices right; in [0.9, 1]: 9 of 12, and those at 0.05 choose the wrong answer
    cases = [Case(1, 0.55)] * 8 + [Case(1, 0.45)] * 2 + [Case(1, 0.95)] * 9 + [Case(1, 0.05)] * 3
    unsure, sure = bins_of(cases)
    assert (unsure.cases, unsure.right) == (10, 0.8)
    assert unsure.confidence == pytest.approx(0.55)
    assert (sure.cases, sure.right) == (12, 0.75)
    assert sure.confidence == pytest.approx(0.95)
    assert (sure.low, sure.high) == wilson(9, 12)


def test_ties_and_bins_of_a_handful_are_left_out() -> None:
    assert bins_of([Case(1, 0.5)] * 100) == []
    assert bins_of([Case(1, 0.9)] * (FEWEST - 1)) == []
    assert len(bins_of([Case(1, 0.9)] * FEWEST)) == 1


def test_every_round_has_its_line() -> None:
    plot = reliability_plot([Case(1, 0.95)] * 10 + [Case(3, 0.25)] * 10)
    assert plot is not None
    assert [(one.name, one.points[0].x, one.points[0].y) for one in plot.series] == [
        ("round 1", pytest.approx(0.95), 1.0),
        ("round 3", pytest.approx(0.75), 0.0),
    ]
    assert plot.diagonal
    assert reliability_plot([]) is None


def test_cases_are_comparisons_of_right_with_wrong_answers(tmp_path: Path) -> None:
    rows = Rows(begun(tmp_path / "run"))
    asked = json.dumps([{"role": "user", "content": "2 + 2?"}])
    rows.add("prompts", 0, [Prompt("p", asked, [1], "4", "s"), Prompt("q", asked, [1], None, "s")])
    texts = {"a": "4", "b": "5", "c": " 4 ", "d": "6"}
    answers = [replace(response(at, text, id=id), round=1) for at, (id, text) in enumerate(texts.items())]
    unknown = [replace(response(at, str(at), prompt_id="q", id=f"q{at}"), round=1) for at in (0, 1)]
    rows.add("responses", 1, [*answers, *unknown])
    rows.add("verdicts", 1, [
        VerdictRow(1, "p", "a", "b", 0.9),  # right against wrong
        VerdictRow(1, "p", "b", "c", 0.3),  # wrong against right
        VerdictRow(1, "p", "a", "c", 0.7),  # both right
        VerdictRow(1, "p", "b", "d", 0.7),  # both wrong
        VerdictRow(1, "p", "a", "d", None),  # failed
        VerdictRow(1, "p", "a", None, 1.0),  # a score
        VerdictRow(1, "q", "q0", "q1", 0.8),  # nobody knows
    ])  # fmt: skip
    with tables(rows.ledger) as read:
        found = read_cases(read, [1])
        assert sorted(case.value for case in found) == pytest.approx([0.7, 0.9])
        assert read_cases(read, [2]) == []
