from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.config import Plan, PlanConfig
from loop.plans import asked, next_questions, questions_per_group, tournament_result
from loop.records import Question
from loop.verdict import Group, Verdict
from loop.verdicts import rows_of, verdict, verdict_of
from tests.loop.factories import group, response
from tests.loop.judged import COMPARING, by_scores, judged, noisy, of_candidates, of_size, untimed, waves

plans = st.builds(PlanConfig, st.sampled_from([Plan.pointwise, *COMPARING]), st.booleans(), st.integers(1, 3))
seeds = st.integers(0, 10_000)
sizes = st.integers(3, 9)
"""A baseline and two candidates at least."""


def shown(questions: list[Question]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(q.response_ids) for q in questions)


def test_pointwise_shows_every_response_alone() -> None:
    assert shown(next_questions(PlanConfig(Plan.pointwise), group(response(0), response(1)), [])) == {
        ("id0",): 1,
        ("id1",): 1,
    }


def test_all_pairs_shows_every_two_in_both_orders() -> None:
    four = of_size(4)
    ids = [r.response_id for r in four.responses_K]
    pairs = {pair for a, b in combinations(ids, 2) for pair in ((a, b), (b, a))}
    assert shown(next_questions(PlanConfig(Plan.all_pairs), four, [])) == Counter(pairs)


def test_against_baseline_shows_the_baseline_to_everybody_but_itself() -> None:
    four = group(*(response(k) for k in range(4)))
    first = {("id1", "id0"), ("id0", "id1"), ("id2", "id0"), ("id0", "id2"), ("id3", "id0"), ("id0", "id3")}
    assert shown(next_questions(PlanConfig(Plan.against_baseline), four, [])) == Counter(first)
    named = group(*four.responses_K[:3], replace(four.responses_K[3], purpose="baseline"))
    assert all("id3" in pair for pair in shown(next_questions(PlanConfig(Plan.against_baseline), named, [])))


def test_without_an_own_baseline_an_opponent_serves_then_the_first_sample() -> None:
    teacher, *own = (replace(response(k), purpose="teacher" if k == 0 else "train") for k in range(3))
    opponent = replace(response(3), purpose="opponent")
    assert group(teacher, *own).baseline == 1
    assert group(teacher, *own, opponent).baseline == 3
    assert group(teacher, *own, opponent, replace(response(4), purpose="baseline")).baseline == 4
    plan = PlanConfig(Plan.against_baseline, both_orders=False)
    compared = shown(next_questions(plan, group(teacher, *own, opponent), []))
    assert {frozenset(pair) for pair in compared} == {frozenset({f"id{k}", "id3"}) for k in range(3)}


def test_opponents_are_never_compared_with_each_other_nor_are_given_sides_judged() -> None:
    purposes = ("train", "explored", "opponent", "opponent", "chosen", "rejected", "node", "revision")
    some = group(*(replace(response(k), purpose=purpose) for k, purpose in enumerate(purposes)))
    pairs = {frozenset(pair) for pair in shown(next_questions(PlanConfig(Plan.all_pairs), some, []))}
    assert pairs == {frozenset({f"id{i}", f"id{j}"}) for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3))}
    assert len(pairs) * 2 == questions_per_group(PlanConfig(Plan.all_pairs), 2, 2)
    alone = {ids for (ids,) in shown(next_questions(PlanConfig(Plan.pointwise), some, []))}
    assert alone == {f"id{k}" for k in (0, 1, 2, 3, 6, 7)}


def test_a_plan_that_asks_nothing_says_nothing() -> None:
    plan, some = PlanConfig(Plan.none), group(response(0), response(1))
    assert next_questions(plan, some, []) == [] and questions_per_group(plan, 2) == 0
    assert verdict(plan, some, []) == Verdict() == verdict_of(plan, [], some)
    assert rows_of(Verdict(), some, 1) == []


@pytest.mark.parametrize("plan", COMPARING)
def test_one_order_alone_asks_half_and_is_chosen_by_a_coin(plan: Plan) -> None:
    eight = of_size(8)
    both = shown([Question("p", j.response_ids) for j in judged(PlanConfig(plan), eight, noisy(1))])
    once = shown(next_questions(PlanConfig(plan, both_orders=False), eight, []))
    if plan is not Plan.tournament:
        assert 2 * len(once) == len(both)
    assert not {pair for pair in once if pair[::-1] in once}
    in_order = sum(pair[0] < pair[1] for pair in once)
    assert 0 < in_order < len(once), "neither order of ids is always the one shown"


def test_repeats_of_a_question_are_numbered() -> None:
    questions = next_questions(PlanConfig(Plan.pointwise, repeats=3), group(response(0), response(1)), [])
    assert [(q.response_ids, q.sample) for q in questions] == [([i], n) for i in ("id0", "id1") for n in range(3)]


@untimed
@given(plans, sizes, seeds, st.sampled_from([0.0, 0.05, 0.6]))
def test_a_plan_comes_to_an_end_and_asks_nothing_twice(plan: PlanConfig, k: int, seed: int, failing: float) -> None:
    some = of_size(k)
    rows = judged(plan, some, noisy(seed, failing))
    assert max(Counter((tuple(j.response_ids), j.sample) for j in rows).values()) == 1
    assert len(rows) <= questions_per_group(plan, k - 1, 1)
    if plan.name is not Plan.tournament:
        assert len(rows) == questions_per_group(plan, k - 1, 1)


@untimed
@given(plans, sizes, seeds, st.sampled_from([0.0, 0.1]), st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_changes_nothing_but_itself(
    plan: PlanConfig, k: int, seed: int, failing: float, random: Random
) -> None:
    some = of_size(k)
    order = list(range(k))
    random.shuffle(order)
    turned = Group(some.prompt_id, tuple(some.responses_K[i] for i in order))
    rows, turned_rows = (judged(plan, one, noisy(seed, failing)) for one in (some, turned))
    assert sorted(rows, key=str) == sorted(turned_rows, key=str)
    said, turned_said = verdict(plan, some, rows), verdict(plan, turned, turned_rows)
    if plan.name is Plan.pointwise:
        assert said.scores_K is not None
        assert turned_said.scores_K == tuple(said.scores_K[i] for i in order)
        return
    assert said.preferences_KK is not None
    assert turned_said.preferences_KK == tuple(tuple(said.preferences_KK[i][j] for j in order) for i in order)
    last = tournament_result(turned, turned_said)
    assert tournament_result(some, said) == (last and (order[last[0]], order[last[1]]))


@untimed
@given(plans, sizes, seeds, st.data())
def test_answers_that_are_missing_are_asked_for_again_and_only_these(
    plan: PlanConfig, k: int, seed: int, data: st.DataObject
) -> None:
    some = of_size(k)
    first = waves(plan, some, noisy(seed))[0]
    kept = data.draw(st.lists(st.sampled_from(first), unique_by=id))
    missing = [j for j in first if j not in kept]
    following = next_questions(plan, some, kept)
    keys = [(q.response_ids, q.sample) for q in following]
    assert all((j.response_ids, j.sample) in keys for j in missing)
    if plan.name is not Plan.tournament:
        assert len(following) == len(missing)


@untimed
@given(plans, sizes, seeds)
def test_what_was_asked_follows_from_the_answers(plan: PlanConfig, k: int, seed: int) -> None:
    some = of_size(k)
    done = waves(plan, some, noisy(seed, failing=0.03))
    rows = [j for wave in done for j in wave]
    questions = asked(plan, some, reversed(rows))
    assert [(q.response_ids, q.sample) for q in questions] == [(j.response_ids, j.sample) for j in rows]
    assert asked(plan, some, rows[:-1]) == questions, "a question without an answer was asked nevertheless"
    first = len(done[0])
    assert asked(plan, some, rows[1:]) == questions[:first], "and nothing that follows from it"


def test_a_tournament_waits_for_all_repeats_in_both_orders() -> None:
    plan = PlanConfig(Plan.tournament, repeats=2)
    four = of_candidates(4)
    first, second, *_ = waves(plan, four, by_scores(four, [1.0, 2.0, 3.0, 4.0]))
    assert len(first) == len(second) == 2 * 2 * 2
    pairs = {frozenset(j.response_ids) for j in first}
    following = next_questions(plan, four, first[:-1])
    assert {frozenset(q.response_ids) for q in following} <= pairs
