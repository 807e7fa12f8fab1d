"""Rules that read constraints, tests or extracted answers, by hand."""

from __future__ import annotations

import pytest

from loop.pairing.constraint_aware import crpg_rewards, crpg_weights, crraft
from loop.pairing.minimax import sound_tests, telling_tests
from loop.verdict import Verdict
from tests.loop.pairing.cases import cut, found, members, samples

FOUR = samples(4)


def objectives(*rows: tuple[float | None, ...]) -> Verdict:
    """A verdict of objectives, one row per response."""
    return Verdict(objectives_KM=rows)


def test_the_best_that_passes_meets_the_worst_that_fails() -> None:
    (pair,) = found("constraint_aware", FOUR, objectives((2, 1), (1, 1), (3, 0), (0.5, 1)))
    assert (pair.members, pair.margin) == ((0, 2), -1), "the one that fails has the higher reward"


def test_a_failing_answer_never_beats_a_passing_one_with_a_negative_reward() -> None:
    """Multiplied by its verdict, 0, a failing reward would be above -3."""
    assert members("constraint_aware", FOUR, objectives((-5, 1), (-3, 1), (4, 0), (9, 0))) == [(1, 2)]


def test_where_all_pass_the_worst_of_all_loses_and_where_none_does_nothing_is_learnt() -> None:
    assert members("constraint_aware", FOUR, objectives((2, 1), (1, 1), (3, 1), (0.5, 1))) == [(2, 3)]
    assert members("constraint_aware", FOUR, objectives((2, 1), (2, 1), (2, 1), (2, 1))) == []
    assert members("constraint_aware", FOUR, objectives((2, 0), (1, 0), (3, 0), (0.5, 0))) == []


def test_every_constraint_must_be_known_and_passed() -> None:
    rows = objectives((2, 1, 0), (1, 1, 1), (3, 1, None), (0.5, None, 1))
    assert members("constraint_aware", FOUR, rows) == [(1, 0)]
    assert members("constraint_aware", cut(FOUR, 1), rows) == []


REWARDS, PASSED, KL = (2, 1, 3, 0.5), (True, True, False, True), (1, 4, 2, 6)


def test_constrained_policy_gradient_weighs_by_calibrated_reward_and_distance() -> None:
    assert crpg_rewards(REWARDS, 1, PASSED, KL, 5) == pytest.approx([0.584847, 0.1, 0, 0], abs=1e-6)
    weights = crpg_weights(REWARDS, 1, PASSED, KL, 5)
    assert weights == pytest.approx([0.413635, -0.071212, -0.171212, -0.171212], abs=1e-6)
    assert crpg_rewards([1.2], 0.2, [True], [2], 5) == pytest.approx([0.438635], abs=1e-6)


def test_constrained_fine_tuning_learns_the_best_within_its_cap() -> None:
    chosen = crraft(REWARDS, 1, PASSED, KL, 5, baseline_passes=True)
    assert chosen is not None and chosen[0] == 0 and chosen[1] == pytest.approx(0.731059, abs=1e-6)
    chosen = crraft(REWARDS, 1, PASSED, (6, 5, 2, 6), 5, baseline_passes=True)
    assert chosen is not None and chosen[0] == 1 and chosen[1] == pytest.approx(0.5), "the cap itself is allowed"
    assert crraft(REWARDS, 1, PASSED, (6, 6, 2, 6), 5, baseline_passes=True) == (None, 0.5)
    assert crraft(REWARDS, 1, PASSED, (6, 6, 2, 6), 5, baseline_passes=False) is None


RUNS = ((1, 1, 1, 0), (1, 0, 1, 0), (0, 0, 1, 0), (0, 0, 0, 0))


def test_the_code_that_passes_most_meets_the_one_that_passes_fewest() -> None:
    (pair,) = found("minimax", FOUR, objectives(*RUNS))
    assert (pair.members, pair.margin) == ((0, 3), 1.0), "all of the three sound tests against none"
    # 3, 2, 1 and 0 passes.
    for passes, too_long in ((2, (0,)), (1, (0, 1))):
        (pair,) = found("minimax", cut(FOUR, *too_long), objectives(*RUNS))
        assert (pair.members, pair.margin) == ((3 - passes, 3), pytest.approx(passes / 3))


def test_a_test_that_nobody_passes_is_suspect_and_not_shown() -> None:
    passed = {i: tuple(map(float, row)) for i, row in enumerate(RUNS)}
    assert sound_tests(passed) == [0, 1, 2]
    # 2, 1, 3 and 0 codes pass them.
    assert telling_tests(passed, 0, 3) == (1, 2), "the hardest passed one, and the easiest failed one"
    assert [telling_tests(passed, chosen, chosen + 1) for chosen in (0, 1, 2)] == [(1, 1), (0, 0), (2, 2)]
    (pair,) = found("minimax", samples(2), objectives((1, 1, 0), (1, 0, 0)))
    assert pair.margin == 0.5


def test_codes_that_all_pass_or_all_fail_are_no_pair() -> None:
    assert found("minimax", FOUR, objectives(*[(1, 1)] * 4)) == []
    assert found("minimax", FOUR, objectives(*[(0, 0)] * 4)) == []
    assert members("minimax", FOUR, objectives((1, 1), (1, None), (0, 0), (0, None))) == [(0, 2)]


def answers(*given: str | None) -> Verdict:
    """A verdict of extracted answers."""
    return Verdict(answers_K=given)


def test_the_answer_with_most_votes_meets_the_one_with_fewest() -> None:
    (pair,) = found("self_consistency", samples(6), answers("4", "4", "5", "4", "7", "5"))
    assert pair.members == (0, 4)
    assert (pair.strength, pair.margin, pair.weight) == pytest.approx((3 / 4, 1 / 3, 1 / 3))


def test_no_answer_never_wins_and_never_loses() -> None:
    assert found("self_consistency", samples(5), answers(None, None, None, "4", "5"), min_share=0.0) == []
    assert found("self_consistency", samples(5), answers(None, None, "4", "4", "5"), min_share=0.0) == [], "a draw"
    assert members("self_consistency", samples(5), answers(None, "4", "4", "4", "5")) == [(1, 4)]
    assert found("self_consistency", samples(3), answers(None, "4", "4")) == [], "nothing to beat"


def test_without_a_majority_nothing_is_learnt() -> None:
    six = answers("4", "4", "5", "6", "7", None)
    assert found("self_consistency", samples(6), six, min_share=0.5) == []
    assert members("self_consistency", samples(6), six, min_share=1 / 3) == [(0, 2)]
    assert found("self_consistency", FOUR, answers("4", "4", "4", "4")) == []
    assert found("self_consistency", FOUR, answers("4", "4", "5", "5")) == []


def test_a_cut_answer_does_not_stand_for_the_majority() -> None:
    votes = answers("4", "4", "5", "4")
    assert members("self_consistency", cut(FOUR, 0), votes) == [(1, 2)]
    assert members("self_consistency", cut(FOUR, 0, 1, 3), votes) == []
    three_to_two = answers("4", "4", "4", "5", "5", "6")
    assert members("self_consistency", cut(samples(6), 0, 1, 2), three_to_two, min_share=0.0) == [], "nor the next"
