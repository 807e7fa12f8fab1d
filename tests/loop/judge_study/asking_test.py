"""Questions about cases and what replies make of them."""

from __future__ import annotations

import math

import pytest

from loop.judge_study.asking import Manner, outcomes, questions
from loop.judges.judge import Reply
from tests.loop.judge_study.builders import COMPARES, case, pair, said, scored

CERTAIN = Manner(certain=True)


def test_a_judge_that_scores_sees_each_response_once() -> None:
    asked = questions([case(["a"], ["b", "c"])], Manner())
    assert [one.texts for one in asked] == [("a",), ("b",), ("c",)]
    assert {one.question.kind for one in asked} == {"pointwise"}


def test_a_judge_that_compares_sees_every_chosen_and_rejected_one_in_both_orders() -> None:
    asked = questions([case(["a", "b"], ["c", "d"])], COMPARES)
    shown = ["ac", "ca", "ad", "da", "bc", "cb", "bd", "db"]
    assert ["".join(one.texts) for one in asked] == shown
    ids = {text: i for one in asked for text, i in zip(one.texts, one.question.response_ids, strict=True)}
    assert len(set(ids.values())) == 4


def test_the_group_does_not_tell_the_chosen_ones_by_their_places() -> None:
    cases = [case(["right"], ["x", "y", "z"], case_id=str(n)) for n in range(40)]
    groups = [questions([one], Manner())[0].group_K for one in cases]
    assert {tuple(sorted(group)) for group in groups} == {("right", "x", "y", "z")}
    assert {group.index("right") for group in groups} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("values", "value", "verdict"),
    [
        ((0.9, 0.3), 0.8, "right"),  # the second is about the rejected one: P(chosen) is 0.7 there
        ((0.2, 0.6), 0.3, "wrong"),
        ((1.0, 1.0), 0.5, "tied"),  # always the first shown
        ((0.7, 0.7), 0.5, "tied"),
        ((None, 0.0), None, "failed"),
        ((1.0, None), None, "failed"),
    ],
)
def test_both_orders_are_averaged_and_one_that_failed_fails_the_pair(
    values: tuple[float | None, float | None], value: float | None, verdict: str
) -> None:
    (one,) = pair(*values).comparisons
    assert one.value == (None if value is None else pytest.approx(value)) and one.said == verdict
    assert one.orders is not None and one.orders[0] == values[0]
    assert one.orders[1] == (None if values[1] is None else 1.0 - values[1])


def test_scores_become_probabilities_and_certain_ones_are() -> None:
    assert scored(case(["a"], ["b"]), 2.0, 1.0).comparisons[0].value == pytest.approx(1 / (1 + math.exp(-1)))
    assert scored(case(["a"], ["b"]), 1.0, 0.0, manner=CERTAIN).comparisons[0].value == 1.0
    assert scored(case(["a"], ["b"]), 0.0, 1.0, manner=CERTAIN).comparisons[0].value == 0.0
    assert scored(case(["a"], ["b"]), 1.0, 1.0, manner=CERTAIN).said == "tied"
    assert scored(case(["a"], ["b"]), -math.inf, -math.inf).said == "tied"
    assert scored(case(["a"], ["b"]), 0.0, -math.inf).comparisons[0].value == 1.0


def test_a_score_that_a_judge_withholds_is_undecided_and_not_failed() -> None:
    (outcome,) = outcomes([case(["a"], ["b"])], [Reply("-", "undecided", None), said(1.0)], Manner())
    assert outcome.said == "tied" and outcome.credit == 0.5
    withheld = [Reply("-", "undecided", None), said(0.2)]
    assert outcomes([case(["a"], ["b"])], withheld, COMPARES)[0].comparisons[0].value == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("scores", "credit", "verdict"),
    [
        ((3.0, 1.0, 1.0, 2.0), 1.0, "right"),
        ((2.0, 1.0, 1.0, 2.0), 1 / 2, "tied"),
        ((2.0, 2.0, 1.0, 2.0), 1 / 3, "tied"),
        ((1.0, 1.0, 1.0, 1.0), 1 / 4, "tied"),
        ((1.0, 1.0, 2.0, 1.0), 0.0, "wrong"),
        ((3.0, 1.0, None, 2.0), 0.0, "failed"),
        ((None, 1.0, 1.0, 2.0), 0.0, "failed"),
    ],
)
def test_best_of_four_gives_the_chance_of_a_draw_among_the_best(
    scores: tuple[float | None, ...], credit: float, verdict: str
) -> None:
    outcome = scored(case(["a"], ["b", "c", "d"]), *scores)
    assert outcome.credit == pytest.approx(credit) and outcome.said == verdict


def test_of_several_right_ones_the_weakest_decides() -> None:
    one = case(["a", "b"], ["c", "d"])
    assert scored(one, 5.0, 3.0, 2.0, 1.0).credit == 1.0
    assert scored(one, 5.0, 2.0, 2.0, 1.0).credit == 0.5
    assert scored(one, 5.0, 1.0, 2.0, 1.0).credit == 0.0


def test_comparisons_share_the_weight_of_their_case_and_know_their_lengths() -> None:
    outcome = scored(case(["aaaa", "a"], ["bb", "bbb"]), 1.0, 1.0, 0.0, 0.0)
    assert [one.longer for one in outcome.comparisons] == [2, 1, -1, -2]
    assert sum(one.weight for one in outcome.comparisons) == pytest.approx(1.0)
