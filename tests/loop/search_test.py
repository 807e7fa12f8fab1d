from __future__ import annotations

import pytest

from loop.search import puct, sibling_confidence


def test_puct_adds_a_bonus_for_likely_and_seldom_visited_children() -> None:
    value = puct(q=0.2, logprob=-6.0, tokens=4, parent_visits=9, visits=2)
    assert value == pytest.approx(0.546227, abs=1e-6)
    assert puct(0.2, -6.0, 4, 9, visits=3) < value < puct(0.2, -6.0, 4, parent_visits=16, visits=2)
    assert puct(0.2, -7.0, 4, 9, 2) < value < puct(0.2, -6.0, tokens=5, parent_visits=9, visits=2)
    assert puct(0.2, -6.0, 4, 9, 2, weight=2.0) == pytest.approx(2 * value - 0.2)
    assert puct(0.2, -6.0, 4, parent_visits=0, visits=0) == 0.2


@pytest.mark.parametrize(
    ("best", "worst", "confidence", "strength"),
    [(12, 4, 0.75, 0.75), (5, 5, 0.5, 0.5), (2, 9, 0.181818, 0.5), (7, 0, 1.0, 1.0), (0, 0, 0.5, 0.5)],
)
def test_visits_say_how_sure_the_best_sibling_is(best: int, worst: int, confidence: float, strength: float) -> None:
    assert sibling_confidence(best, worst) == pytest.approx(confidence, abs=1e-6)
    assert max(0.5, sibling_confidence(best, worst)) == pytest.approx(strength, abs=1e-6)


def test_the_reference_code_agrees_wherever_the_best_sibling_was_visited() -> None:
    # it computes 1 / (1 + N_worst / max(1, N_best)), which is sure of a pair without any visit
    for best in range(1, 8):
        for worst in range(8):
            assert sibling_confidence(best, worst) == pytest.approx(1 / (1 + worst / max(1, best)))
    assert sibling_confidence(0, 3) == 0.0
