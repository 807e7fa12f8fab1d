"""What a control run does to verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.config import Plan, PlanConfig
from loop.controls import TOLD, shuffled
from loop.records import digest_of
from loop.verdict import Group, Verdict
from loop.verdicts import verdict
from tests.loop.factories import response
from tests.loop.judged import judged, noisy, untimed

PLAN = PlanConfig(Plan.against_baseline)


def made(name: str, k: int = 3, baseline: bool = False) -> Group:
    """A group whose ids follow from its name, by default of samples only."""
    rows = [response(i, prompt_id=name, id=digest_of(name, i)) for i in range(k)]
    return Group(name, tuple(replace(r, purpose="baseline") if baseline and r.k == 0 else r for r in rows))


def said(group: Group) -> Verdict:
    """A verdict that no other group shares, with holes."""
    return verdict(PLAN, group, judged(PLAN, group, noisy(int(digest_of(group.prompt_id)[:6], 16), failing=0.2)))


@untimed
@given(st.integers(2, 9), st.randoms(use_true_random=False))
def test_every_group_is_given_anothers_and_every_verdict_is_given_once(n: int, chance: object) -> None:
    groups = [made(f"p{i}") for i in range(n)]
    verdicts = [Verdict(scores_K=(float(i), None, 0.0)) for i in range(n)]
    passed = shuffled(groups, verdicts)
    assert all(new != own for new, own in zip(passed, verdicts, strict=True))
    assert sorted(map(str, passed)) == sorted(map(str, verdicts))


@untimed
@given(st.permutations(range(6)))
def test_who_is_given_which_does_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    groups = [made(f"p{i}") for i in range(6)]
    verdicts = list(map(said, groups))
    expected = shuffled(groups, verdicts)
    assert shuffled([groups[i] for i in order], [verdicts[i] for i in order]) == [expected[i] for i in order]


def test_a_verdict_is_passed_on_whole_and_by_position() -> None:
    groups = [made("a"), made("b")]
    verdicts = list(map(said, groups))
    assert verdicts[0] != verdicts[1] and shuffled(groups, verdicts) == verdicts[::-1]


def test_other_answers_to_the_same_prompts_are_shuffled_in_another_way() -> None:
    names = [f"p{i}" for i in range(8)]
    verdicts = [Verdict(scores_K=(float(i),)) for i in range(8)]
    first, second = (
        shuffled([Group(n, (response(0, prompt_id=n, id=digest_of(n, run)),)) for n in names], verdicts)
        for run in ("one run", "another")
    )
    assert first != second


def test_groups_of_another_shape_keep_to_themselves() -> None:
    groups = [made("a"), made("b", baseline=True), made("c"), made("d", baseline=True), made("e", k=2)]
    verdicts = list(map(said, groups))
    found = shuffled(groups, verdicts)
    assert found[:4] == [verdicts[2], verdicts[3], verdicts[0], verdicts[1]]


@pytest.mark.parametrize("plan", [PLAN, PlanConfig(Plan.pointwise)])
def test_a_group_alone_learns_nothing(plan: PlanConfig) -> None:
    alone = made("a")
    own = verdict(plan, alone, judged(plan, alone, noisy(1)))
    (passed,) = shuffled([alone], [own])
    off = [p for i, row in enumerate(passed.preferences_KK or ()) for j, p in enumerate(row) if i != j]
    assert [*off, *(passed.scores_K or ())] == [None] * len([*off, *(own.scores_K or ())])
    assert (passed.scores_K is None) == (own.scores_K is None)


def test_only_a_control_run_is_told_of() -> None:
    assert [control.value for control in TOLD] == ["shuffled"]
