from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from loop.evaluation.length_controlled import MIN_PROMPTS, RIDGE, length_controlled


def test_a_table_of_two_by_two() -> None:
    # won: 90 of 100 with answers that are 10 tokens longer, 50 of 100 with ones that are 10 shorter. The fit is exact:
    # theta + phi t = logit(0.9) = 2 ln 3, theta - phi t = logit(0.5) = 0, so theta = ln 3 and sigmoid(theta) = 3/4
    longer = [10.0] * 100 + [-10.0] * 100
    outcomes = [1.0] * 90 + [0.0] * 10 + [1.0] * 50 + [0.0] * 50
    assert length_controlled(outcomes, longer) == pytest.approx(0.75, abs=1e-4)
    # the same from the probabilities themselves, and from the opponent's side
    soft = [0.9] * 100 + [0.5] * 100
    assert length_controlled(soft, longer) == pytest.approx(0.75, abs=1e-4)
    lost = [1.0 - one for one in outcomes]
    assert length_controlled(lost, [-one for one in longer]) == pytest.approx(0.25, abs=1e-4)


def test_the_difference_is_scaled_and_not_centred() -> None:
    # differences of 30 and 10 tokens have the standard deviation 10 sqrt(200/199); with logits of 2 tanh(difference /
    # it), equal length is an even match, which lies outside of the differences seen
    longer = np.array([30.0] * 100 + [10.0] * 100)
    outcomes = expit(2.0 * np.tanh(longer / (10.0 * np.sqrt(200 / 199))))
    assert outcomes.min() > 0.8
    assert length_controlled(outcomes.tolist(), longer.tolist()) == pytest.approx(0.5, abs=2e-3)
    assert length_controlled(outcomes.tolist(), (7.0 * longer).tolist()) == pytest.approx(0.5, abs=2e-3), "any unit"


def test_hard_prompts_are_told_from_long_answers() -> None:
    # all four corners of length and difficulty, with logits 0.4 + t - 1.5 d: the fit finds them, and the win rate at
    # equal length is (sigmoid(0.4) + sigmoid(0.4 - 1.5)) / 2
    t = np.tanh(np.sqrt(199 / 200))  # of plus and minus one token, 200 prompts
    longer, hard = np.tile([1.0, -1.0], 100), np.repeat([0.0, 1.0], 100)
    outcomes = expit(0.4 + np.where(longer > 0, t, -t) - 1.5 * hard)
    expected = (1 / (1 + np.exp(-0.4)) + 1 / (1 + np.exp(1.1))) / 2
    assert length_controlled(outcomes, longer, hard) == pytest.approx(expected, abs=1e-4)
    assert length_controlled(outcomes, longer, np.ones(200)) == length_controlled(outcomes, longer), "all alike"


def test_a_candidate_that_wins_only_by_length_does_not_win_at_equal_length() -> None:
    rng = np.random.default_rng(0)
    longer = rng.normal(30.0, 40.0, 2000)
    outcomes = (rng.random(2000) < expit(2.0 * np.tanh(longer / 40.0))).astype(float)
    assert outcomes.mean() > 0.6
    assert length_controlled(outcomes.tolist(), longer.tolist()) == pytest.approx(0.5, abs=0.04)


def test_outcomes_that_a_length_separates_stay_finite() -> None:
    longer = [float(one) for one in range(-50, 50)]
    outcomes = [float(one >= 0) for one in longer]
    rate = length_controlled(outcomes, longer)
    assert rate is not None and 0.0 < rate < 1.0
    # all won, with differences that are symmetric: only theta is not 0, where 100 sigmoid(-theta) = RIDGE theta
    won = length_controlled([1.0] * 100, [1.0, -1.0] * 50)
    theta = brentq(lambda x: 100 * expit(-x) - RIDGE * x, 0.0, 100.0)
    assert won is not None and 1.0 - won == pytest.approx(expit(-theta), rel=1e-6)


def test_where_lengths_tell_nothing() -> None:
    outcomes = [1.0, 0.0, 1.0, 0.5] * 10
    assert length_controlled(outcomes, [0.0] * 40) == pytest.approx(0.625), "they never differ"
    assert length_controlled(outcomes, [3.0] * 40) is None, "length and quality are one"
    few = MIN_PROMPTS - 1
    assert length_controlled([1.0] * few, [0.0] * few) is None
    assert length_controlled([1.0] * MIN_PROMPTS, [0.0] * MIN_PROMPTS) == 1.0
