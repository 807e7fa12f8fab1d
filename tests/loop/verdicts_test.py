from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.config import Plan, PlanConfig
from loop.records import Judgement, Question
from loop.verdict import Verdict
from loop.verdicts import (
    bradley_terry,
    groups_of,
    is_tied,
    logit,
    majority,
    mean_scores,
    verdict,
    win_rates,
)
from tests.loop.factories import group, response
from tests.loop.judged import COMPARING, judged, noisy, of_size, told, untimed

GROUP = group(*(response(k) for k in range(4)))
POINTWISE = PlanConfig(Plan.pointwise)
comparing = st.builds(PlanConfig, st.sampled_from(COMPARING), st.booleans(), st.integers(1, 3))
numbers = st.floats(-50, 50)


def said(*shown: str, value: float | None, sample: int = 0) -> Judgement:
    return told(Question("p", list(shown), sample), value)


def test_repeats_are_averaged_and_what_failed_or_was_never_asked_is_a_hole() -> None:
    rows = [
        said("id0", value=1.0),
        said("id0", value=0.0, sample=1),
        said("id0", value=None, sample=2),
        said("id1", value=None),
    ]
    assert verdict(POINTWISE, GROUP, rows).scores_K == (0.5, None, None, None)


def test_a_failed_judgement_s_number_does_not_count() -> None:
    rows = [replace(said("id0", value=0.9), status="failed"), replace(said("id1", value=0.5), status="undecided")]
    assert verdict(POINTWISE, GROUP, rows).scores_K == (None, 0.5, None, None)


def test_a_judgement_given_twice_counts_once() -> None:
    once, other = said("id0", value=1.0), said("id0", value=0.0, sample=1)
    assert verdict(POINTWISE, GROUP, [once, once, once, other]).scores_K == (0.5, None, None, None)


def test_a_preference_is_free_of_the_order_shown() -> None:
    # OSP: q(1, 0) = 0.9 and q(0, 1) = 0.4 give (0.9 + 1 - 0.4) / 2
    rows = [said("id1", "id0", value=0.9), said("id0", "id1", value=0.4), said("id2", "id0", value=0.7)]
    rows.append(said("id0", "id2", value=None))
    table = verdict(PlanConfig(Plan.against_baseline), GROUP, rows).preferences_KK
    assert table is not None
    assert table[1][0] == pytest.approx(0.75)
    assert table[0][1] == pytest.approx(0.25)
    assert [table[i][i] for i in range(4)] == [0.5] * 4
    assert table[2][0] is None and table[0][2] is None, "one order alone says nothing"
    assert table[3][0] is None and table[1][2] is None, "nobody asked"


def test_where_one_order_is_asked_it_says_it_all() -> None:
    plan = PlanConfig(Plan.all_pairs, both_orders=False)
    table = verdict(plan, GROUP, [said("id1", "id0", value=0.9), said("id0", "id2", value=0.4)]).preferences_KK
    assert table is not None
    assert (table[1][0], table[0][2], table[1][2]) == (0.9, 0.4, None)
    assert (table[0][1], table[2][0]) == (pytest.approx(0.1), pytest.approx(0.6))


@untimed
@given(comparing, st.integers(1, 7), st.integers(0, 10_000), st.sampled_from([0.0, 0.2]))
def test_preferences_of_two_add_up_to_one(plan: PlanConfig, k: int, seed: int, failing: float) -> None:
    some = of_size(k)
    table = verdict(plan, some, judged(plan, some, noisy(seed, failing))).preferences_KK
    assert table is not None
    for i, j in itertools.product(range(k), repeat=2):
        one, other = table[i][j], table[j][i]
        assert (one is None) == (other is None)
        assert one is None or other is None or (one + other == 1.0 and 0.0 <= one <= 1.0)
        assert i != j or one == 0.5


@untimed
@given(comparing, st.integers(2, 7), st.integers(0, 10_000))
def test_swapping_the_order_shown_changes_nothing(plan: PlanConfig, k: int, seed: int) -> None:
    some = of_size(k)
    rows = judged(plan, some, noisy(seed, failing=0.1))
    mirrored = [
        told(Question("p", j.response_ids[::-1], j.sample), None if j.value is None else 1.0 - j.value) for j in rows
    ]
    table, turned = (verdict(plan, some, some_rows).preferences_KK for some_rows in (rows, mirrored))
    assert table is not None and turned is not None
    for one, other in zip(itertools.chain(*table), itertools.chain(*turned), strict=True):
        assert other == (None if one is None else pytest.approx(one, abs=1e-12))


@untimed
@given(
    st.builds(PlanConfig, st.sampled_from([Plan.pointwise, *COMPARING]), st.booleans(), st.integers(1, 3)),
    st.integers(0, 10_000),
)
def test_a_failed_judgement_never_becomes_a_number(plan: PlanConfig, seed: int) -> None:
    some = of_size(5)
    rows = judged(plan, some, noisy(seed, failing=0.4))
    table = verdict(plan, some, rows)
    answered = {tuple(j.response_ids) for j in rows if j.status != "failed"}
    ids = [r.response_id for r in some.responses_K]
    if table.scores_K is not None:
        assert [score is not None for score in table.scores_K] == [(i,) in answered for i in ids]
        return
    assert table.preferences_KK is not None
    for i, j in itertools.permutations(range(5), 2):
        orders = ((ids[i], ids[j]) in answered) + ((ids[j], ids[i]) in answered)
        assert (table.preferences_KK[i][j] is not None) == (orders == (2 if plan.both_orders else 1))


def test_a_tie_is_when_all_that_is_known_says_the_same() -> None:
    assert is_tied(Verdict(scores_K=(0.5, None, 0.5)))
    assert not is_tied(Verdict(scores_K=(0.5, None, 0.4)))
    assert not is_tied(Verdict(scores_K=(None, None))), "nothing known is no tie"
    assert not is_tied(Verdict(scores_K=(0.5, None))), "nor is one alone"
    assert is_tied(Verdict(preferences_KK=((0.5, 0.5, None), (0.5, 0.5, None), (None, None, 0.5))))
    assert not is_tied(Verdict(preferences_KK=((0.5, 0.7), (0.3, 0.5))))
    assert not is_tied(Verdict(preferences_KK=((0.5, None), (None, 0.5))))


def test_win_rates_of_a_bradley_terry_judge() -> None:
    # SPPO: the mean runs over the row with its diagonal
    rates = win_rates(bradley_terry((1.0, 0.0, -1.0, 2.0, 0.5)))
    assert rates == pytest.approx((0.600651, 0.399349, 0.223599, 0.776401, 0.5), abs=1e-6)


def test_implicit_rewards_are_the_scores_of_a_bradley_terry_judge() -> None:
    # SPA: log-ratios 2 and -3 at beta 0.1
    assert bradley_terry((0.1 * 2.0, 0.1 * -3.0))[0][1] == pytest.approx(0.622459, abs=1e-6)


def test_mean_scores_of_a_general_preference_model() -> None:
    # GPO: a table that no scores explain
    skew = ((0, 1, -1), (-1, 0, 2), (1, -2, 0))
    preferences = tuple(tuple(1 / (1 + math.exp(-s)) for s in row) for row in skew)
    means = mean_scores(preferences)
    assert means == pytest.approx((0.0, 0.333333, -0.333333), abs=1e-6)


@untimed
@given(st.lists(numbers, min_size=1, max_size=7))
def test_win_rates_average_to_one_half_and_mean_scores_to_zero(scores: list[float]) -> None:
    table = bradley_terry(tuple(scores))
    assert math.fsum(r for r in win_rates(table) if r is not None) == pytest.approx(len(scores) / 2)
    assert math.fsum(s for s in mean_scores(table) if s is not None) == pytest.approx(0.0, abs=1e-9)


@untimed
@given(st.lists(st.floats(-4, 4), min_size=1, max_size=7))
def test_mean_scores_of_a_bradley_terry_judge_are_its_scores_without_their_mean(scores: list[float]) -> None:
    mean = math.fsum(scores) / len(scores)
    assert mean_scores(bradley_terry(tuple(scores))) == pytest.approx([s - mean for s in scores], abs=1e-9)


@untimed
@given(st.lists(st.none() | numbers, min_size=1, max_size=7))
def test_a_score_that_is_not_known_enters_no_preference(scores: list[float | None]) -> None:
    table = bradley_terry(tuple(scores))
    for (i, a), (j, b) in itertools.product(enumerate(scores), repeat=2):
        assert (table[i][j] is None) == (i != j and (a is None or b is None))
    rates = win_rates(table)
    assert [rate is None for rate in rates] == [None in row for row in table] == [m is None for m in mean_scores(table)]


def test_certain_preferences_have_a_finite_logit() -> None:
    assert logit(1.0) == pytest.approx(9.21024, abs=1e-5) == pytest.approx(-logit(0.0)), "a ten-thousandth off"
    assert logit(0.8) == pytest.approx(math.log(4.0))
    assert bradley_terry((800.0, -800.0))[0][1] == 1.0


def test_most_votes_decide_and_unreadable_ones_do_not_count() -> None:
    # SPaR: five votes each
    assert majority([1, 1, 0, 0, 1]) == 1.0
    assert majority([1, 0, None, 0, 1]) is None, "two against two"
    assert majority([0, 0, 0, 1, 1]) == 0.0
    assert majority([None, None]) is None
    assert majority([0.5, 0.9]) == 1.0, "an undecided vote is for nobody"


def test_responses_are_grouped_by_prompt_in_the_order_of_k() -> None:
    rows = [response(1, prompt_id="a"), response(0, prompt_id="b"), response(0, prompt_id="a")]
    assert [(g.prompt_id, [r.k for r in g.responses_K]) for g in groups_of(rows)] == [("a", [0, 1]), ("b", [0])]
