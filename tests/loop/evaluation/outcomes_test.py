from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loop.evaluation.outcomes import outcomes_from_comparisons, outcomes_from_scores
from loop.records import Judgement, digest_of
from tests.loop.factories import judgement

OURS = {"ours": True, "theirs": False}


def shown(
    ids: list[str], value: float | None, status: str = "decided", sample: int = 0, prompt: str = "p"
) -> Judgement:
    id = digest_of("judgement", prompt, ids, sample)
    return replace(judgement(ids, value, status, sample), judgement_id=id, prompt_id=prompt)


def test_every_answer_of_the_one_meets_every_answer_of_the_other() -> None:
    assert outcomes_from_scores({"p": [1.0], "q": [0.5], "r": [0.0]}, {"p": [0.0], "q": [0.5], "r": [0.1]}) == {
        "p": 1.0,
        "q": 0.5,
        "r": 0.0,
    }
    # 3 > 1, 3 > 2, 2 > 1, 2 = 2: three wins and a tie
    assert outcomes_from_scores({"p": [3.0, 2.0]}, {"p": [1.0, 2.0]}) == {"p": pytest.approx(3.5 / 4)}


def test_a_hole_is_in_no_pair_and_a_prompt_without_a_pair_in_no_win_rate() -> None:
    candidate = {"p": [None, 1.0], "hole": [None], "nan": [math.nan], "alone": [1.0], "none": []}
    opponent = {"p": [0.0, math.nan], "hole": [1.0], "nan": [1.0], "none": [1.0], "other": [1.0]}
    assert outcomes_from_scores(candidate, opponent) == {"p": 1.0}


def test_a_veto_loses_against_every_score_and_is_even_with_another_one() -> None:
    veto = -math.inf
    assert outcomes_from_scores({"p": [veto], "q": [veto]}, {"p": [-99.0], "q": [veto]}) == {"p": 0.0, "q": 0.5}


def test_both_orders_are_averaged() -> None:
    said = [shown(["ours", "theirs"], 0.9), shown(["theirs", "ours"], 0.3)]
    assert outcomes_from_comparisons(said, OURS) == {"p": pytest.approx((0.9 + 0.7) / 2)}
    swapped = {"ours": False, "theirs": True}
    assert outcomes_from_comparisons(said, swapped) == {"p": pytest.approx((0.1 + 0.3) / 2)}


def test_a_judge_that_only_sees_the_position_comes_to_one_half_however_often_it_is_asked() -> None:
    said = [shown(["ours", "theirs"], 1.0, sample=s) for s in range(3)] + [shown(["theirs", "ours"], 1.0)]
    assert outcomes_from_comparisons(said, OURS) == {"p": 0.5}


def test_a_tie_is_one_half_and_a_failure_a_hole_for_which_the_other_order_serves() -> None:
    said = [
        shown(["ours", "theirs"], 0.5, "undecided", prompt="tie"),
        shown(["ours", "theirs"], None, "failed", prompt="one"),
        shown(["theirs", "ours"], 0.2, prompt="one"),
        shown(["ours", "theirs"], None, "failed", prompt="gone"),
        shown(["ours", "theirs"], None, "undecided", prompt="abstained"),
    ]
    assert outcomes_from_comparisons(said, OURS) == {"tie": 0.5, "one": pytest.approx(0.8)}


def test_pairs_count_alike_and_what_is_not_between_the_two_not_at_all() -> None:
    sides = {"a": True, "b": True, "x": False}
    said = [
        shown(["a", "x"], 1.0),
        shown(["x", "a"], 0.0),
        shown(["b", "x"], 0.0),
        shown(["a", "b"], 1.0),  # both the candidate's
        shown(["a", "unknown"], 1.0),
        shown(["a"], 1.0),  # a score
    ]
    assert outcomes_from_comparisons(said, sides) == {"p": 0.5}


def test_a_judgement_given_twice_counts_once() -> None:
    won, lost = shown(["ours", "theirs"], 1.0, sample=0), shown(["ours", "theirs"], 0.0, sample=1)
    assert outcomes_from_comparisons([won, won, lost], OURS) == {"p": 0.5}
