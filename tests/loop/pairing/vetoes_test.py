"""Vetoes of a mixture, from its replies to examples: a vetoed response never wins, and no number is infinite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.config import Plan, PlanConfig
from loop.judge_config import JudgeKind, MixtureConfig
from loop.judges.comparing import Comparing
from loop.judges.mixture import Mixture
from loop.pairing import RULES, named_rule, pair
from loop.pairing.candidates import finite, reaches
from loop.plans import next_questions
from loop.records import Example, Judgement, VerdictRow, digest_of
from loop.shards import from_table, to_table
from loop.verdict import Group, Verdict
from loop.verdicts import bradley_terry, is_tied, rows_of, verdict, verdict_of
from tests.loop.factories import judgement
from tests.loop.judges.scripted import Scripted
from tests.loop.judges.scripted import pair as two
from tests.loop.judges.scripted import single as one
from tests.loop.pairing.cases import OF_A_SEARCH, SCORES, VARIANTS, cut, found, four_for, members, samples, scored
from tests.loop.pairing.invariants_test import many

VETO = -math.inf
FOUR = samples(4)
FINDING = [(name, options) for name, options in VARIANTS if RULES[name].reads in ("scores", "preferences")]
BY_LENGTH = ("ranked", {"length_penalty": 0.125})
"""It trades strengths for length, and preferences alone do not tell a veto from a strength of 0 or 1."""
NEVER_ENOUGH = [
    ("keep_correct", {"min_score": VETO}),
    ("random_right_wrong", {"min_score": VETO}),
    ("labelled", {"threshold": VETO}),
    ("all_pairs", {"min_score": VETO, "gap": 0.0, "student_gap": 0.0, "max_repetition": 0.0}),
    ("length_penalised", {"penalty": 1e6}),
    ("rejection_sampling", {"beta": 1e-9}),
    ("rejection_sampling", {"beta": math.inf}),
    ("length_banded", {"rho": 0.0}),
]


def judged(plan: PlanConfig, group: Group, rewards: Sequence[float], passes: Sequence[bool | None]) -> Verdict:
    """The verdict of a mixture of one constraint (None: it fails) and a reward."""
    texts = [r.response_id for r in group.responses_K]
    constraint = Scripted({text: None if it is None else float(it) for text, it in zip(texts, passes, strict=True)})
    reward = Comparing(Scripted(dict(zip(texts, rewards, strict=True))), certain=False)
    judge = Mixture(MixtureConfig("mixture", JudgeKind.mixture), {"safe": constraint, "reward": reward})
    rows: list[Judgement] = []
    while questions := next_questions(plan, group, rows):
        asked = [one(ids[0]) if len(ids) == 1 else two(ids[0], ids[1]) for ids in (q.response_ids for q in questions)]
        for question, reply in zip(questions, judge.answer(asked, "r0-s0"), strict=True):
            id = digest_of(question.response_ids, question.sample)
            said = judgement(question.response_ids, reply.value, reply.status, question.sample)
            rows.append(replace(said, judgement_id=id))
    return verdict(plan, group, rows)


def all_finite(example: Example) -> bool:
    return all(map(math.isfinite, (example.margin, example.strength, example.weight, *example.labels)))


def winners(example: Example, labels: str) -> list[str]:
    """The responses that an example says are better than something, with labels of that kind; a tie says that of
    none."""
    if example.roles[0] == "chosen":
        return example.response_ids[:1] if example.strength > 0.5 else []
    average = 0.5 if labels == "win_rate" else 0.0
    floor = min(example.labels) if example.roles[0] == "item" else average
    return [i for i, label in zip(example.response_ids, example.labels, strict=True) if label > floor]


@many
@given(st.data())
def test_a_vetoed_response_never_wins_and_every_number_is_finite(data: st.DataObject) -> None:
    k = data.draw(st.integers(2, 6))
    rewards = data.draw(st.lists(st.sampled_from((*SCORES, -1e6)), min_size=k, max_size=k))
    passes = data.draw(st.lists(st.sampled_from((True, True, False, False, None)), min_size=k, max_size=k))
    purposes = data.draw(
        st.lists(
            st.sampled_from(["train"] * 6 + ["teacher", "baseline", "opponent", "explored"]), min_size=k, max_size=k
        )
    )
    texts = data.draw(st.lists(st.sampled_from(["a", "b" * 9, "c" * 99, "dd dd dd dd dd"]), min_size=k, max_size=k))
    group = cut(samples(k, purpose=purposes, text=texts), *data.draw(st.sets(st.integers(0, k - 1), max_size=2)))
    vetoed = {r.response_id for r, fine in zip(group.responses_K, passes, strict=True) if fine is False}
    for name, options in (*FINDING, *NEVER_ENOUGH):
        rule, complete = named_rule(name, options)
        for plan in rule.plans or (Plan.pointwise,):
            examples = pair(rule, complete, group, judged(PlanConfig(plan), group, rewards, passes), 1, False)
            for example in examples:
                assert all_finite(example), name
                assert (name, options) == BY_LENGTH or not vetoed & {*winners(example, rule.labels)}, name


@pytest.mark.parametrize(("name", "options"), [*FINDING, *NEVER_ENOUGH])
def test_a_group_of_only_vetoed_responses_teaches_nothing_to_win(name: str, options: dict[str, float | str]) -> None:
    rule, complete = named_rule(name, options)
    for plan in rule.plans or (Plan.pointwise,):
        one_said = judged(PlanConfig(plan), FOUR, (5.0, 2.0, -1.0, 0.0), (False,) * 4)
        assert is_tied(one_said)
        examples = pair(rule, complete, FOUR, one_said, 1, False)
        kept = [one for one in examples if rule.gives != "single" or winners(one, rule.labels)]
        assert kept == [] or (rule.ties and all(one.strength == 0.5 for one in kept))


@pytest.mark.parametrize(
    "name", [n for n, rule in RULES.items() if rule.reads in ("scores", "preferences") and n not in OF_A_SEARCH]
)
def test_a_vetoed_response_loses_against_the_only_one_that_passes(name: str) -> None:
    (rule, options), four = named_rule(name), four_for(name)
    for plan in rule.plans or (Plan.pointwise,):
        said = judged(PlanConfig(plan, repeats=2), four, (9.0, 9.0, 6.0, 9.0), (False, False, True, False))
        examples = pair(rule, options, four, said, 1, False)
        assert any(winners(one, rule.labels) == ["id2"] for one in examples), plan


def test_a_veto_is_as_large_as_all_else_in_the_group() -> None:
    (one,) = found("best_worst", FOUR, scored(1.0, 4.0, VETO, 2.0))
    assert (one.members, one.margin, one.strength) == ((1, 2), 6.0, 1.0)
    assert finite({0: 1.0, 1: 4.0, 2: VETO}) == {0: 1.0, 1: 4.0, 2: -2.0}
    assert finite({0: 5.0, 1: VETO}) == {0: 5.0, 1: 4.0}, "no range: one"
    assert finite({0: VETO, 1: VETO}) == {0: -1.0, 1: -1.0}
    assert finite({0: 1.0, 1: 3.0}) == {0: 1.0, 1: 3.0}
    assert not reaches(VETO, VETO) and reaches(0.5, 0.5) and not reaches(0.4, 0.5)


def test_a_veto_counts_as_any_gap() -> None:
    # DNO asks for a gap of 1 of the policy's own samples
    assert members("all_pairs", FOUR, scored(5.5, VETO, 5.25, VETO)) == [(0, 1), (0, 3), (2, 1), (2, 3)]


def test_a_vetoed_repetition_stays_below_the_foot_of_the_scale() -> None:
    twice = samples(2, tokens_T=[[1, 2, 3, 4], [7] * 20])
    options = {"max_repetition": 0.5, "min_score": 0.0, "student_gap": 1.0}
    assert members("all_pairs", twice, scored(0.5, 6.0), **options) == [], "half a point above the foot"
    assert members("all_pairs", twice, scored(0.5, VETO), **options) == [(0, 1)]


def test_a_short_vetoed_response_does_not_stand_in_the_way_of_longer_ones() -> None:
    texts = ["x", "y" * 100, "z" * 100, "w" * 100]
    assert members("length_penalised", samples(4, text=texts), scored(VETO, 2.0, 1.0, None), penalty=1.0) == [(1, 0)]


def test_vetoed_responses_are_undesirable_and_never_kept() -> None:
    labels = {one.members[0]: one.labels[0] for one in found("labelled", FOUR, scored(VETO, 0.7, VETO, 0.2))}
    assert labels == {0: 0.0, 1: 1.0, 2: 0.0, 3: 0.0}
    assert members("keep_correct", FOUR, scored(VETO, -3.0, VETO, -4.0), min_score=VETO) == [(1,), (3,)]


def test_one_vetoed_repeat_vetoes_and_is_stored_as_it_is() -> None:
    rows = [judgement(["id0"], 1.0), judgement(["id0"], VETO, sample=1), judgement(["id1"], 2.0)]
    rows = [replace(row, judgement_id=str(n)) for n, row in enumerate(rows)]
    plan = PlanConfig(Plan.pointwise, repeats=2)
    said = verdict(plan, FOUR, rows)
    assert said.scores_K == (VETO, 2.0, None, None)
    stored = from_table(to_table(rows_of(said, FOUR, 1), VerdictRow), VerdictRow)
    assert verdict_of(plan, stored, FOUR) == said


def test_a_vetoed_response_loses_every_comparison_and_two_are_even() -> None:
    assert bradley_terry((-800.0, VETO, VETO, None)) == (
        (0.5, 1.0, 1.0, None),
        (0.0, 0.5, 0.5, None),
        (0.0, 0.5, 0.5, None),
        (None, None, None, 0.5),
    )
