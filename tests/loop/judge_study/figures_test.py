"""Figures of one judge, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from loop.judge_study.asking import Manner
from loop.judge_study.figures import Figures, accuracy, figures, reliability
from loop.judges.forging import share_interval
from tests.loop.judge_study.builders import FAILED, answered, case, pair, said, scored

CERTAIN = Manner(certain=True)
RIGHT, WRONG, TIED, LOST = (0.9, 0.1), (0.2, 0.8), (1.0, 1.0), (None, 0.1)


def of(*outcomes, replies=()) -> Figures:  # type: ignore[no-untyped-def]
    return figures("llm", outcomes, answered(*replies))


def test_ties_count_half_failures_as_wrong_and_decided_leaves_both_out() -> None:
    row = accuracy("all", [pair(*one) for one in (RIGHT, RIGHT, RIGHT, WRONG, TIED, TIED, LOST, LOST)])
    assert row.accuracy == (3 + 2 * 0.5) / 8
    assert row.decided == 3 / 4
    assert (row.tied, row.failed, row.cases) == (2 / 8, 2 / 8, 8)
    assert (row.low, row.high) == share_interval(4, 8, 0.05)
    assert accuracy("all", [pair(*TIED)]).decided is None


def test_half_a_case_moves_the_interval_by_half_a_case() -> None:
    whole, half, none = (accuracy("all", [pair(*RIGHT)] * 4 + [pair(*one)]) for one in (RIGHT, TIED, WRONG))
    assert half.accuracy == 0.9 and whole.low > half.low > none.low and whole.high > half.high > none.high
    assert (half.low, half.high) == share_interval(4.5, 5, 0.05)


def test_the_macro_average_weighs_subsets_the_same_and_lies_in_its_interval() -> None:
    found = of(*(pair(*one, subset="a") for one in [RIGHT] * 8), *(pair(*one, subset="b") for one in (RIGHT, WRONG)))
    assert [one.subset for one in found.subsets] == ["a", "b"]
    assert found.macro == 0.75 and found.overall.accuracy == 0.9
    assert 0.2 < found.macro_low < 0.5 and found.macro_high == 1.0  # two cases of b say nearly nothing


def test_the_macro_average_of_a_judge_that_is_always_right_has_an_interval_with_a_length() -> None:
    found = of(*(pair(*RIGHT, subset=name) for name in "abc" for _ in range(20)))
    assert found.macro == 1.0 and found.macro_low == pytest.approx(0.7, abs=0.05) and found.macro_high == 1.0


def test_consistency_and_position_are_measured_before_orders_are_averaged() -> None:
    """Verdicts by order: right right; first first; second second; wrong wrong. Two of four agree. First shown wins in
    the first case once, in the second twice, in the third never, in the fourth once: 4 of 8."""
    found = of(pair(0.9, 0.1), pair(0.9, 0.8), pair(0.1, 0.2), pair(0.3, 0.6))
    assert found.consistent == 0.5 and found.first_shown == 0.5
    assert of(pair(0.9, 0.8), pair(0.5, 0.8)).first_shown == (1 + 0.75) / 2
    assert of(pair(0.5, 0.8)).consistent == 0.0


def test_an_order_that_failed_says_nothing_of_consistency_and_the_other_of_position() -> None:
    found = of(pair(0.9, 0.1), pair(0.9, None), pair(None, None))
    assert found.consistent == 1.0 and found.first_shown == (0.5 + 1.0) / 2
    scores = of(scored(case(["a"], ["b"]), 1.0, 0.0))
    assert scores.consistent is None and scores.first_shown is None


def test_calibration_folds_confidence_and_weighs_bins_by_their_share() -> None:
    """Confidences 0.8 (right) and 0.8 (wrong, said as 0.2): half right. 0.97 (right). Half of the weight is 0.3 off,
    a quarter 0.03; 0.5 is right half the time: no error."""
    found = of(pair(0.8, 0.2), pair(0.2, 0.8), pair(0.97, 0.03), pair(0.5, 0.5), pair(None, 0.1))
    assert [b.share for b in found.bins] == pytest.approx([0.25, 0.5, 0.25])
    assert [b.confidence for b in found.bins] == pytest.approx([0.5, 0.8, 0.97])
    assert [b.accuracy for b in found.bins] == pytest.approx([0.5, 0.5, 1.0])
    assert found.calibration_error == pytest.approx(0.5 * 0.3 + 0.25 * 0.03)


def test_there_are_ten_bins_from_one_half_to_one() -> None:
    found = of(*(pair(0.525 + 0.05 * n, 0.475 - 0.05 * n) for n in range(10)), pair(1.0, 0.0))
    assert [b.confidence for b in found.bins] == pytest.approx([0.525 + 0.05 * n for n in range(9)] + [0.9875])


def test_a_certain_judge_that_is_right_has_no_calibration_error_and_a_failed_one_none_to_have() -> None:
    assert of(scored(case(["a"], ["b"]), 1.0, 0.0, manner=CERTAIN)).calibration_error == 0.0
    assert of(scored(case(["a"], ["b"]), 1.0, 0.0)).calibration_error == pytest.approx(1 - 1 / (1 + np.exp(-1)))
    assert of(pair(None, None)).calibration_error is None
    assert reliability([]) == ()


def test_a_case_weighs_the_same_however_many_responses_it_has() -> None:
    """One case of two comparisons, both in the first order only, and one of a single comparison that agrees."""
    many = scored(case(["a"], ["x", "y", "z"]), 0.0, 5.0, 5.0, 5.0, manner=CERTAIN)
    one = scored(case(["a"], ["x"]), 1.0, 0.0, manner=CERTAIN)
    assert of(many, one).bins[0].accuracy == pytest.approx(0.5)


def test_length_bias_by_the_longer_side_and_by_correlation() -> None:
    """A judge that prefers what is longer: right where the better one is, wrong where it is shorter."""
    outcomes = [
        pair(0.9, 0.1, chosen="aaaa", rejected="b"),
        pair(0.6, 0.4, chosen="aa", rejected="b"),
        pair(0.4, 0.6, chosen="a", rejected="bb"),
        pair(0.1, 0.9, chosen="a", rejected="bbbb"),
        pair(0.5, 0.5, chosen="a", rejected="bb"),
        pair(None, 0.9, chosen="a", rejected="bb"),
    ]
    found = of(*outcomes)
    assert found.longer_right == 1.0 and found.shorter_right == pytest.approx(0.5 / 3)
    expected = np.corrcoef([0.9, 0.6, 0.4, 0.1, 0.5], [3, 1, -1, -3, -1])[0, 1]
    assert found.length_correlation == pytest.approx(expected)


def test_what_has_no_variation_has_no_correlation_and_no_share() -> None:
    found = of(pair(0.9, 0.1, chosen="a", rejected="b"), pair(0.9, 0.1, chosen="a", rejected="b"))
    assert (found.length_correlation, found.longer_right, found.shorter_right) == (None, None, None)


def test_questions_speed_failures_and_cuts_are_counted() -> None:
    replies = [said(0.9), FAILED, FAILED, said(0.1)]
    replies[0] = type(replies[0])("so", "decided", 0.9, cut=7)
    found = of(pair(*RIGHT), replies=replies)
    assert (found.questions, found.failed, found.cut, found.rate) == (4, 2, 1, 2.0)
    assert found.reasons == {"no verdict": 2} and found.usage == {"requests": 3.0} and found.version == "judge-1"


def test_the_score_of_ties_enters_the_macro_average_and_not_the_accuracy() -> None:
    ref = scored(case(["a"], ["x"], "Ties", "ref:1"), 1.0, 0.0, manner=CERTAIN)
    tied = scored(case(["a", "b"], ["x"], "Ties", "tied:1"), 1.0, 1.0, 0.0, manner=CERTAIN)
    found = of(ref, tied, scored(case(["a"], ["b"], "Math"), 0.0, 1.0, manner=CERTAIN))
    assert found.subsets[0].accuracy == 1.0 and found.subsets[0].score == pytest.approx(1.01)
    assert found.macro == pytest.approx(1.01 / 2)
    assert (found.macro_low, found.macro_high) == pytest.approx((-0.005, 1.005)), "from one prompt and one case"
