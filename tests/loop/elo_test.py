from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.elo import battle_matrix, elo
from tests.loop.judged import untimed

matrices = st.integers(2, 6).flatmap(
    lambda m: st.lists(st.lists(st.floats(0.0, 9.0), min_size=m, max_size=m), min_size=m, max_size=m)
)


def test_scores_of_three_judgements_by_their_battles() -> None:
    # Meta-Rewarding, in natural-log units
    scores = elo([[0, 3, 2], [1, 0, 2], [1, 1, 0]])
    assert scores == pytest.approx([0.630285, -0.151085, -0.479199], abs=2e-6)


def test_of_two_the_difference_is_the_log_odds_of_winning() -> None:
    first, second = elo([[0, 3], [1, 0]])
    assert first - second == pytest.approx(math.log(3), abs=1e-5)


@untimed
@given(matrices)
def test_expected_wins_are_the_wins_and_the_mean_is_zero(wins: list[list[float]]) -> None:
    table = np.array(wins) + 0.1
    np.fill_diagonal(table, 0.0)
    scores = np.array(elo(table.tolist()))
    expected = (table + table.T) / (1 + np.exp(scores[None, :] - scores[:, None]))
    assert expected.sum(axis=1) == pytest.approx(table.sum(axis=1), abs=1e-4)
    assert scores.sum() == pytest.approx(0.0, abs=1e-9)


@untimed
@given(matrices, st.randoms(use_true_random=False))
def test_another_order_of_competitors_gives_the_same_scores(wins: list[list[float]], drawn: Random) -> None:
    order = list(range(len(wins)))
    drawn.shuffle(order)
    turned = [[wins[i][j] for j in order] for i in order]
    scores = elo(wins)
    assert elo(turned) == pytest.approx([scores[i] for i in order], abs=1e-4)


def test_who_never_lost_has_a_finite_score_above_the_others() -> None:
    scores = elo([[0, 3, 1], [0, 0, 2], [0, 0, 0]])
    assert all(map(math.isfinite, scores)) and scores == sorted(scores, reverse=True)
    assert elo([[0, 0], [0, 0]]) == [0.0, 0.0]
    camps = elo([[0, 3, 0, 0], [1, 0, 0, 0], [0, 0, 0, 3], [0, 0, 1, 0]])
    assert camps == pytest.approx([math.log(3) / 2, -math.log(3) / 2] * 2, abs=1e-5)
    assert elo([[5, 1], [1, 7]]) == pytest.approx([0.0, 0.0]), "nobody beats himself"


def test_battles_with_lopsided_numbers_find_their_maximum() -> None:
    # Newton's whole steps run away from here
    wins = np.zeros((5, 5))
    wins[1] = 4.589, 0, 0.063, 1607.528, 0.362
    wins[2] = 2124.32, 0, 0, 0.061, 0.681
    wins[3, 0], wins[3, 4], wins[4, 1] = 26.064, 0.025, 425.017
    scores = np.array(elo(wins.tolist()))
    expected = (wins + wins.T) / (1 + np.exp(scores[None, :] - scores[:, None]))
    assert expected.sum(axis=1) == pytest.approx(wins.sum(axis=1), abs=1e-4)


def test_a_win_in_the_favoured_position_counts_less() -> None:
    # three wins of the first position and one of the second: weights 1/4 and 3/4
    wins = battle_matrix([(0, 1, 1.0), (0, 1, 1.0), (1, 0, 1.0), (1, 0, 0.0), (0, 1, None)], 2)
    assert wins == [[0.0, 0.25 + 0.25 + 0.75], [0.25, 0.0]]


def test_a_judge_that_always_takes_the_first_has_said_nothing() -> None:
    assert battle_matrix([(0, 1, 1.0), (1, 0, 1.0)], 2) == [[0.0, 0.0], [0.0, 0.0]]
    assert battle_matrix([(0, 1, None)], 2) == [[0.0, 0.0], [0.0, 0.0]]


def test_of_half_a_win_both_have_half() -> None:
    assert battle_matrix([(0, 1, 0.5), (1, 0, 0.5)], 2) == [[0.0, 0.5], [0.5, 0.0]]
