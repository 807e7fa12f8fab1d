from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.preference_model import preferences, skew_score
from loop.verdicts import bradley_terry, mean_scores
from tests.loop.judged import untimed

vectors = st.lists(st.lists(st.floats(-1, 1), min_size=4, max_size=4), min_size=1, max_size=5)


def test_score_of_one_plane_and_of_two() -> None:
    assert skew_score((1, 2), (3, -1)) == -7
    assert preferences([(1, 2), (3, -1)], tau=1.0)[0][1] == pytest.approx(0.000911, abs=5e-7)
    assert preferences([(1, 2), (3, -1)], tau=7.0)[0][1] == pytest.approx(1 / (1 + math.e))
    assert skew_score((1, 0, 0.5, 0.5), (0.2, 1, -0.5, 0.5)) == pytest.approx(1.5)
    assert skew_score((1, 0, 0.5, 0.5), (0.2, 1, -0.5, 0.5), scales_L=(2.0, 3.0)) == pytest.approx(2 * 1 + 3 * 0.5)


def test_three_vectors_at_equal_angles_beat_each_other_in_a_circle() -> None:
    turned = [2 * math.pi * k / 3 for k in range(3)]
    circle = [(math.cos(angle), math.sin(angle)) for angle in turned]
    scores = [skew_score(circle[k], circle[(k + 1) % 3]) for k in range(3)]
    assert scores == pytest.approx([0.866025] * 3, rel=1e-5)
    assert mean_scores(preferences(circle)) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


@untimed
@given(vectors)
def test_preferences_of_two_add_up_to_one_and_their_logits_are_the_scores(vectors_KD: list[list[float]]) -> None:
    table = preferences(vectors_KD, tau=1.0)
    for a, one in zip(vectors_KD, mean_scores(table), strict=True):
        assert one == pytest.approx(math.fsum(skew_score(a, b) for b in vectors_KD) / len(vectors_KD), abs=1e-9)
    for i, row in enumerate(table):
        assert row[i] == 0.5
        assert [p + table[j][i] for j, p in enumerate(row)] == pytest.approx([1.0] * len(row))  # type: ignore[operator]


def test_scores_are_a_plane_whose_other_coordinate_is_one() -> None:
    """Bradley-Terry preferences are the special case without circles: (s_i, 1) against (s_j, 1) scores s_i - s_j."""
    scores = (1.0, 0.0, -1.5)
    for row, expected in zip(preferences([(s, 1.0) for s in scores], 1.0), bradley_terry(scores), strict=True):
        assert row == pytest.approx(expected)


def test_vectors_of_another_number_of_planes_are_not_scored() -> None:
    with pytest.raises(ValueError):
        skew_score((1.0, 2.0), (1.0, 2.0, 3.0, 4.0))
