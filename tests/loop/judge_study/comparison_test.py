"""Two judges beside each other."""

from __future__ import annotations

import pytest

from loop.judge_study.asking import Manner, Outcome
from loop.judge_study.comparison import agreement, side_by_side
from tests.loop.judge_study.builders import case, pair, scored

RIGHT, WRONG, TIED, LOST = (0.9, 0.1), (0.2, 0.8), (1.0, 1.0), (None, 0.1)
CERTAIN = Manner(certain=True)


def judged(*said: tuple[float | None, float | None], subset: str = "all") -> list[Outcome]:
    return [pair(*one, subset=subset) for one in said]


def test_a_judge_does_not_differ_from_itself() -> None:
    outcomes = judged(*[RIGHT] * 10, *[WRONG] * 10)
    found = side_by_side(outcomes, outcomes)
    assert found.agreement == 1.0
    for one in (found.overall, found.macro, *found.subsets):
        assert one.difference == 0.0 and not one.clear
        assert one.low == pytest.approx(-one.high)
        assert 0.1 < one.high < 0.4, "twenty cases do not show that they never differ"


def test_three_cases_do_not_show_that_one_judge_is_always_better() -> None:
    found = side_by_side(judged(*[RIGHT] * 3), judged(*[WRONG] * 3))
    for one in (found.overall, found.macro, *found.subsets):
        assert one.difference == 1.0 and one.low < 0.0 and one.high == 1.0 and not one.clear
    assert side_by_side(judged(*[RIGHT] * 12), judged(*[WRONG] * 12)).overall.clear


def test_the_interval_is_of_paired_cases() -> None:
    """Each of 100 cases is coin-flip hard for both, but where one errs the other does, except in 10 cases: the interval
    is that of 10 of 100, not that of two independent halves (about 14 points either way)."""
    first = judged(*[RIGHT] * 50, *[WRONG] * 40, *[RIGHT] * 10)
    second = judged(*[RIGHT] * 50, *[WRONG] * 40, *[WRONG] * 10)
    found = side_by_side(first, second).overall
    assert found.difference == pytest.approx(0.10) and found.clear
    assert found.low == pytest.approx(0.03, abs=0.02) and found.high == pytest.approx(0.2, abs=0.03)
    turned = side_by_side(second, first).overall
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low)) and turned.clear


def test_subsets_and_their_macro_average_are_compared() -> None:
    first = judged(*[RIGHT] * 6, subset="a") + judged(*[WRONG] * 2, subset="b")
    second = judged(*[WRONG] * 6, subset="a") + judged(*[RIGHT] * 2, subset="b")
    found = side_by_side(first, second)
    assert [(one.subset, one.cases, one.difference) for one in found.subsets] == [("a", 6, 1.0), ("b", 2, -1.0)]
    assert found.overall.difference == 0.5 and found.macro.difference == 0.0
    assert found.macro.low < -0.5 and found.macro.high > 0.5, "two cases of b say nearly nothing"


def test_agreement_is_about_verdicts_where_neither_failed() -> None:
    first, second = judged(RIGHT, RIGHT, TIED, LOST, WRONG), judged(RIGHT, WRONG, TIED, RIGHT, LOST)
    assert agreement(first, second) == pytest.approx(2 / 3)
    assert agreement(judged(LOST), judged(RIGHT)) is None


def test_a_judge_that_scores_and_one_that_compares_meet_on_the_accuracy_of_ties() -> None:
    cases = [case(["a"], ["x"], "Ties", "ref:1"), case(["a", "b"], ["x"], "Ties", "tied:1")]
    scores = [scored(one, *[1.0] * len(one.chosen), 0.0, manner=CERTAIN) for one in cases]
    compares = [Outcome(one.case, one.comparisons, None) for one in scores]
    assert side_by_side(scores, compares).subsets[0].difference == 0.0
    worse = [scored(cases[0], 1.0, 0.0), scored(cases[1], 9.0, 1.0, 0.0)]
    found = side_by_side(scores, worse).subsets[0]
    assert found.difference > 0.4  # both accurate, one with a spread
    assert (found.low, found.high) == pytest.approx((-1.02, 1.02)), "one prompt says nothing"


def test_judges_of_different_cases_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same cases"):
        side_by_side(judged(RIGHT), judged(RIGHT, subset="b"))
