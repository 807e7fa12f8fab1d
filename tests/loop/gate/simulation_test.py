"""The gate with its defaults against policies whose quality is known: 512 prompts, one answer each, right or wrong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from loop.evaluation.win_rate import lower_bound
from loop.gate.power import power
from loop.gate.rule import GateRule

GATES = 300
Floats = npt.NDArray[np.float64]

POPULATIONS = [(mean, certainty) for mean in (0.4, 0.6, 0.75, 0.9) for certainty in (1.0, 3.0)]
"""Of the incumbent the share of right answers, and of Beta(mean c, (1 - mean) c), from which each prompt's share is
drawn, the sum c: the smaller, the surer it is of each prompt."""


def gates(gain: float, mean: float, certainty: float, prompts: int = 512) -> Floats:
    """Outcomes `[GATES, P]` of a candidate whose true score is `gain` higher: of the prompts on which the incumbent is
    not always right (wrong, for a loss) it is right in the same part more (less)."""
    rng = np.random.default_rng(int(1000 * (1 + gain)) + int(100 * mean) + int(certainty) + prompts)
    right = rng.beta(mean * certainty, (1 - mean) * certainty, (GATES, prompts))
    room = gain / (1 - mean) if gain > 0 else gain / mean
    better = right + room * ((1 - right) if gain > 0 else right)
    candidate, incumbent = rng.random(right.shape) < better, rng.random(right.shape) < right
    return 0.5 + 0.5 * (candidate.astype(float) - incumbent)


def promoted(rule: GateRule, outcomes: Floats) -> float:
    """In what share of the gates the candidate replaces the incumbent; of `decide`, the part that decides."""
    bounds = [lower_bound(outcomes_P, rule.confidence, seed) for seed, outcomes_P in enumerate(outcomes)]
    return float(np.mean([bound > rule.bound for bound in bounds]))


def noise(share: float) -> float:
    """Three standard errors of a simulated share."""
    return 3 * float(np.sqrt(share * (1 - share) / GATES))


@pytest.mark.parametrize(("mean", "certainty"), POPULATIONS)
def test_five_points_lower_is_rejected_in_four_cases_of_five(mean: float, certainty: float) -> None:
    assert 1 - promoted(GateRule(), gates(-0.05, mean, certainty)) >= 0.8


@pytest.mark.parametrize(("mean", "certainty"), POPULATIONS)
def test_an_equal_policy_is_promoted_as_often_as_the_gate_says(mean: float, certainty: float) -> None:
    outcomes = gates(0.0, mean, certainty)
    said = float(np.mean([power(GateRule(), outcomes_P).equal_promoted for outcomes_P in outcomes[:50]]))
    assert promoted(GateRule(), outcomes) == pytest.approx(said, abs=noise(said))


def test_what_is_detectable_is_rejected_in_four_cases_of_five() -> None:
    rule = GateRule(tolerance=0.02, confidence=0.9)
    said = power(rule, gates(0.0, 0.6, 2.0)[0]).detectable
    assert 1 - promoted(rule, gates(-2 * said, 0.6, 2.0)) == pytest.approx(0.8, abs=noise(0.8))


def test_one_point_higher_is_mostly_promoted() -> None:
    shares = [promoted(GateRule(), gates(0.01, mean, certainty)) for mean, certainty in POPULATIONS]
    assert np.mean(shares) >= 0.9
    assert min(shares) >= 0.8


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_strict_gate_promotes_an_equal_policy_only_by_chance(confidence: float) -> None:
    chance = 1 - confidence
    for prompts in (128, 512):
        share = promoted(GateRule(tolerance=0.0, confidence=confidence), gates(0.0, 0.6, 2.0, prompts))
        assert share <= chance + noise(chance)
