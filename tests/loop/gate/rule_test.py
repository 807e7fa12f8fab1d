from __future__ import annotations

import pytest

from loop.errors import Refused
from loop.gate.rule import GateRule


def test_the_bound_lies_a_tolerance_below_one_half() -> None:
    assert GateRule(tolerance=0.03, confidence=0.9).bound == pytest.approx(0.47)


@pytest.mark.parametrize(("tolerance", "confidence"), [(-0.01, 0.8), (0.5, 0.8), (0.02, 0.49), (0.02, 1.0)])
def test_numbers_that_make_no_rule_are_refused(tolerance: float, confidence: float) -> None:
    with pytest.raises(Refused, match=r"^The gate's (tolerance|confidence) must be at least"):
        GateRule(tolerance, confidence)
