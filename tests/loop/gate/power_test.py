from __future__ import annotations

import numpy as np
import pytest

from loop.gate.power import power
from loop.gate.rule import GateRule

HALVES = [1.0] * 512 + [0.0] * 512
ERROR = 0.5 / np.sqrt(1026)  # of Beta(512.5, 512.5), sqrt(1/4 / 1026)


def test_the_quantiles_of_the_normal_distribution_worked_out() -> None:
    seen = power(GateRule(tolerance=0.03, confidence=0.95), HALVES)
    # z(0.95) = 1.644854, z(0.8) = 0.841621; Phi(0.03 / 0.0156098 - 1.644854) = Phi(0.277) = 0.609
    assert seen.detectable == pytest.approx(0.03 + (0.841621 - 1.644854) * ERROR, abs=1e-7)
    assert seen.equal_promoted == pytest.approx(0.609, abs=1e-3)
    assert seen.prompts == 1024


def test_of_a_strict_gate_equal_policies_pass_by_chance_alone() -> None:
    strict = power(GateRule(tolerance=0.0, confidence=0.9), HALVES)
    assert strict.equal_promoted == pytest.approx(0.1, abs=1e-9)
    assert strict.detectable == 0.0, "it rejects nine equal ones of ten"


def test_more_prompts_tell_more() -> None:
    rule = GateRule(tolerance=0.02, confidence=0.7)
    few, many = power(rule, HALVES[::8]), power(rule, HALVES)
    assert few.detectable > many.detectable > rule.tolerance
    assert few.equal_promoted < many.equal_promoted


def test_a_person_is_told_in_points_and_cases() -> None:
    assert power(GateRule(tolerance=0.03, confidence=0.95), HALVES).sentence == (
        "With 1024 prompts it would have rejected a loss of 1.7 points of win rate in four cases of five; an equal "
        "policy it promotes in 61 % of cases."
    )
    with pytest.raises(ValueError, match="no win rate"):
        power(GateRule(), [])
