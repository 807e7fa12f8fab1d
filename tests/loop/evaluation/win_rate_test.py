from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import beta

from loop.evaluation.comparison import Comparison
from loop.evaluation.win_rate import compare, lower_bound, standard_error, win_rate

GATES = 500


def test_of_won_and_lost_prompts_the_interval_is_jeffreys() -> None:
    rate, low, high = win_rate([1.0] * 116 + [0.0] * 84, seed=0)
    assert rate == pytest.approx(0.58)
    # of Beta(116.5, 84.5); with 4000 draws a quantile is known to about 0.0015
    assert (low, high) == pytest.approx(tuple(beta.ppf([0.025, 0.975], 116.5, 84.5)), abs=0.005)
    assert lower_bound([1.0] * 116 + [0.0] * 84, 0.8, seed=0) == pytest.approx(beta.ppf(0.2, 116.5, 84.5), abs=0.003)
    # standard deviation of Beta(a, b): sqrt(a b / (a + b + 1)) / (a + b)
    expected = np.sqrt(116.5 * 84.5 / 202) / 201
    assert standard_error([1.0] * 116 + [0.0] * 84) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("prompts", [1, 10, 400])
@pytest.mark.parametrize("outcome", [0.0, 0.25, 0.5, 1.0])
def test_equal_outcomes_are_not_certainty(outcome: float, prompts: int) -> None:
    rate, low, high = win_rate([outcome] * prompts, seed=0)
    assert rate == outcome
    assert low <= rate <= high
    # the prior's two halves: variance of the mean (0.5 (0 - m)^2 + 0.5 (1 - m)^2 + P (o - m)^2) / (P + 1) / (P + 2)
    mean = (0.5 + prompts * outcome) / (prompts + 1)
    spread = 0.5 * mean**2 + 0.5 * (1 - mean) ** 2 + prompts * (outcome - mean) ** 2
    error = np.sqrt(spread / (prompts + 1) / (prompts + 2))
    assert standard_error([outcome] * prompts) == pytest.approx(error, rel=1e-12)
    assert high - low > error
    assert lower_bound([outcome] * prompts, 0.9, seed=0) <= outcome


def test_all_won_is_as_sure_as_the_number_of_prompts_allows() -> None:
    _, low, high = win_rate([1.0] * 60, seed=0)
    assert high == 1.0
    assert low == pytest.approx(beta.ppf(0.025, 60.5, 0.5), abs=0.005)


def test_the_interval_is_the_same_for_the_same_seed_and_free_of_the_order() -> None:
    outcomes = [0.0, 0.5, 1.0, 0.25] * 20
    assert win_rate(outcomes, seed=3) == win_rate(sorted(outcomes), seed=3)
    assert win_rate(outcomes, seed=3) != win_rate(outcomes, seed=4)


def test_the_95_percent_interval_begins_at_the_one_sided_bound_of_97_5_percent() -> None:
    outcomes = [0.0, 0.5, 1.0, 0.25, 1.0] * 20
    assert win_rate(outcomes, seed=3)[1] == lower_bound(outcomes, 0.975, seed=3)


def test_without_outcomes_there_is_no_win_rate() -> None:
    for asked in (lambda: win_rate([], 0), lambda: lower_bound([], 0.9, 0), lambda: standard_error([])):
        with pytest.raises(ValueError, match="no win rate"):
            asked()


def drawn(rate: float, prompts: int, ties: float, answers: int) -> npt.NDArray[np.float64]:
    """Outcomes `[GATES, P]` of this mean: `ties` of the prompts are one half; the others are won with a probability
    that varies between prompts where there are several answers to each."""
    rng = np.random.default_rng(int(1000 * rate) + prompts + int(100 * ties) + answers)
    won = (rate - ties / 2) / (1 - ties)
    p = won if answers == 1 else rng.beta(2 * won, 2 * (1 - won), (GATES, prompts))
    outcomes = rng.binomial(answers, p, (GATES, prompts)) / answers
    return np.where(rng.random((GATES, prompts)) < ties, 0.5, outcomes)


@pytest.mark.parametrize(
    ("rate", "prompts", "ties", "answers"),
    [
        (0.5, 60, 0.0, 1),
        (0.7, 60, 0.0, 1),
        (0.9, 60, 0.0, 1),
        (0.95, 60, 0.0, 1),
        (0.95, 500, 0.0, 1),
        (0.8, 200, 0.0, 1),
        (0.5, 60, 0.8, 1),
        (0.52, 60, 0.9, 1),
        (0.5, 500, 0.95, 1),
        (0.7, 120, 0.5, 1),
        (0.95, 60, 0.0, 4),
        (0.6, 500, 0.0, 4),
    ],
)
def test_the_interval_has_the_true_rate_in_it_in_about_95_percent_of_cases(
    rate: float, prompts: int, ties: float, answers: int
) -> None:
    intervals = [win_rate(outcomes_P, seed) for seed, outcomes_P in enumerate(drawn(rate, prompts, ties, answers))]
    covered = np.mean([low <= rate <= high for _, low, high in intervals])
    assert 0.92 <= covered <= 0.98


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_rate_exceeds_its_lower_bound_as_often_as_it_says(confidence: float) -> None:
    outcomes = drawn(0.5, 512, 0.5, 1)
    exceeded = np.mean([lower_bound(one, confidence, seed) < 0.5 for seed, one in enumerate(outcomes)])
    assert exceeded == pytest.approx(confidence, abs=3 * np.sqrt(confidence * (1 - confidence) / GATES))


def test_a_comparison_knows_whom_with_how_many_prompts_and_the_rate_at_equal_length() -> None:
    outcomes = {f"p{i}": float(i % 4 > 0) for i in range(40)}
    lengths = {one: (5.0, 5.0) for one in outcomes}
    made = compare("best", "r2-s24", outcomes, lengths, seed=1)
    rate, low, high = win_rate(list(outcomes.values()), seed=1)
    assert made == Comparison("best", "r2-s24", 40, 0.75, low, high, length_controlled=0.75)
    assert rate == 0.75
    # 10 of 20 prompts are won with shorter answers, all 20 with longer ones: equal lengths lie between
    other = {one: (9.0 if i % 2 else 1.0, 5.0) for i, one in enumerate(outcomes)}
    controlled = compare("best", "r2-s24", outcomes, other, seed=1).length_controlled
    assert controlled is not None and controlled > 0.75
    few = dict(list(outcomes.items())[:10])
    assert compare("best", "r2-s24", few, lengths, seed=1).length_controlled is None
    with pytest.raises(KeyError):
        compare("best", "r2-s24", outcomes, {}, seed=1)
