"""What holds for every rule, whatever it is given."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop.config import Plan, PlanConfig
from loop.pairing import RULES, named_rule, pair
from loop.pairing.found import Found
from loop.records import Question, digest_of
from loop.verdict import Verdict
from loop.verdicts import COMPARED_ONLY, bradley_terry, verdict
from tests.loop.judged import by_scores, judged
from tests.loop.pairing.cases import (
    OF_A_SEARCH,
    VARIANTS,
    Case,
    by_ids,
    cases,
    cut,
    found,
    four_for,
    picked,
    punched,
)

many = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
COUNTS_EVERYBODY = ("self_consistency", "tournament")
"""Rules in which a response counts although nothing is known of it: a vote for nothing, a match that was not played."""


@many
@given(cases(), st.data())
def test_permuting_the_candidates_permutes_the_result(case: Case, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(case[0].responses_K))))
    for name, options in VARIANTS:
        first, second = (by_ids(one, found(name, *one, **options)) for one in (case, picked(case, order)))
        assert first == second, name


@many
@given(cases(), st.data())
def test_a_response_of_which_nothing_is_known_is_as_if_it_was_not_there(case: Case, data: st.DataObject) -> None:
    group, _ = case
    hole = data.draw(st.sampled_from(range(len(group.responses_K))))
    others = [i for i in range(len(group.responses_K)) if i != hole]
    compares_with_it = group.baseline == hole or group.responses_K[hole].purpose in COMPARED_ONLY
    for name, options in VARIANTS:
        finds = found(name, *punched(case, hole), **options)
        assert RULES[name].reads == "nothing" or all(hole not in one.members for one in finds), name
        if others and not compares_with_it and name not in COUNTS_EVERYBODY and RULES[name].reads != "nothing":
            without = picked(case, others)
            assert by_ids(case, finds) == by_ids(without, found(name, *without, **options)), name


@many
@given(cases())
def test_the_same_tokens_never_stand_in_one_example_or_in_two_single_ones(case: Case) -> None:
    """But of a rule whose every draw is a term of a mean."""
    tokens = [tuple(r.tokens_T) for r in case[0].responses_K]
    for name, options in VARIANTS:
        if name == "opponent_win_rate":
            continue
        finds = found(name, *case, **options)
        single = RULES[name].gives == "single"
        for together in [sum((one.members for one in finds), ())] if single else [one.members[:2] for one in finds]:
            assert all(tokens[i] != tokens[j] for i, j in combinations(together, 2)), name


@many
@given(cases())
def test_a_truncated_response_wins_nothing_unless_allowed(case: Case) -> None:
    cut = [r.truncated for r in case[0].responses_K]
    for name, options in VARIANTS:
        assert not any(cut[i] for one in found(name, *case, **options) for i in winners(name, one)), name


@pytest.mark.parametrize("name", [name for name in RULES if name not in OF_A_SEARCH])
def test_a_truncated_response_wins_where_it_is_allowed_to(name: str) -> None:
    clear = Verdict(
        scores_K=(6.0, 1.0, 0.0, -1.0),
        preferences_KK=bradley_terry((6.0, 1.0, 0.0, -1.0)),
        objectives_KM=((1, 1, 1), (0, 0, 1), (0, 0, 0), (0, 1, 0)),
        answers_K=("yes", "yes", "yes", "no"),
        repeats_KS=((5.0, 7.0), (1.0, 1.0), (0.0, 0.0), (-1.0, -1.0)),
    )
    for cut_ones in ([0], [0, 1], [0, 1, 2]):
        four = cut(four_for(name), *cut_ones)
        assert any(0 in winners(name, one) for one in found(name, four, clear, truncated_may_win=True))
        assert not any(set(winners(name, one)) & set(cut_ones) for one in found(name, four, clear))


def winners(name: str, one: Found) -> list[int]:
    """The members that an example of that rule says are better than something, or than the average."""
    if one.roles[0] == "chosen":
        return [one.members[0]]
    average = 0.5 if RULES[name].labels == "win_rate" else 0.0
    worst = min(one.labels) if one.roles[0] == "item" else average
    return [i for i, label in zip(one.members, one.labels, strict=True) if label > worst]


@many
@given(cases())
def test_examples_of_a_group_are_different_and_have_the_shape_of_their_kind(case: Case) -> None:
    roles: dict[str, set[tuple[str, ...]]] = {
        "pair": {("chosen", "rejected")},
        "single": {("response",)},
        "list": {("item",) * k for k in range(2, 9)},
    }
    for name, options in VARIANTS:
        rule, given_options = named_rule(name, options)
        examples = pair(rule, given_options, *case, 1, False)
        assert len({one.example_id for one in examples}) == len(examples), name
        for one in examples:
            sides = [role for role in one.roles if role not in rule.roles]
            assert tuple(sides) in roles[rule.gives], name
            assert one.roles[len(sides) :] in ([], [*rule.roles]), name
            assert len(one.labels) == (len(one.response_ids) if rule.labels else 0), name
            assert one.strength != 0.5 or rule.ties or rule.labels, f"{name} gives ties and does not say so"
            assert 0.0 <= one.strength <= 1.0 and one.weight > 0
            assert len(set(one.response_ids[: len(sides)])) == len(sides)
            assert (one.gain is not None) == rule.gains and 0.0 <= (one.gain or 0.0) <= math.log(2)


@many
@given(cases(), st.integers(0, 1000), st.sampled_from([0.0, 0.2]))
def test_swapping_the_order_shown_changes_nothing(case: Case, seed: int, failing: float) -> None:
    group, _ = case

    def judge(question: Question) -> float | None:
        eighths = int(digest_of(seed, question.response_ids)[:8], 16) % 9
        pair = digest_of("fails", seed, sorted(question.response_ids))
        return None if int(pair[:8], 16) < failing * 2**32 else eighths / 8

    def mirrored(question: Question) -> float | None:
        value = judge(Question(question.prompt_id, question.response_ids[::-1], question.sample))
        return None if value is None else 1 - value

    for plan in (PlanConfig(Plan.all_pairs), PlanConfig(Plan.against_baseline), PlanConfig(Plan.tournament)):
        verdicts = [verdict(plan, group, judged(plan, group, who)) for who in (judge, mirrored)]
        for name, options in VARIANTS:
            if plan.name in RULES[name].plans:
                first, second = (found(name, group, one, **options) for one in verdicts)
                assert first == second, name


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.reads == "preferences"])
def test_the_plans_that_a_rule_names_give_it_what_it_needs(name: str) -> None:
    four = four_for(name)
    judge = by_scores(four, [1.0, 3.0, 0.0, 2.0])
    assert RULES[name].plans
    for plan in map(PlanConfig, RULES[name].plans):
        assert found(name, four, verdict(plan, four, judged(plan, four, judge))), plan
