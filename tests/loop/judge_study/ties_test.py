"""The subset `Ties`, worked by hand and against the published function."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest

from loop.judge_study.asking import Outcome
from loop.judge_study.ties import is_ties, ties_scores, ties_terms
from tests.loop.judge_study.builders import COMPARES, case, pair, scored


def two(prompt: int, reference: tuple[float | None, ...], tied: tuple[float | None, ...]) -> list[Outcome]:
    """The two cases of a prompt: one right of three responses, and two right of four."""
    one = case(["a"], ["x", "y"], "Ties", f"ref:{prompt}")
    several = case(["a", "b"], ["x", "y"], "Ties", f"tied:{prompt}")
    return [scored(one, *reference), scored(several, *tied)]


def test_a_prompt_by_hand() -> None:
    """Reference: gap 4 - 1 = 3. Tied: gap 3 - 2 = 1, spread 5 - 3 = 2. So both are right, 1 < 2 prefers nothing, and
    the margin is tanh(1/2 - 1)."""
    terms = ties_terms(two(0, (4.0, 1.0, 0.0), (5.0, 3.0, 2.0, 0.0)))
    assert terms is not None and terms[0].tolist() == pytest.approx([1, 1, 0, 0, math.tanh(-0.5)])


def test_the_narrower_gap_of_both_cases_is_the_hard_one() -> None:
    """Tied: gap 3, spread 2; reference: gap 1."""
    terms = ties_terms(two(0, (2.0, 1.0, 0.0), (7.0, 5.0, 2.0, 0.0)))
    assert terms is not None and terms[0].tolist() == pytest.approx([1, 1, 1, 0, math.tanh(-0.5)])


@pytest.mark.parametrize(
    ("reference", "tied", "expected"),
    [
        ((1.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0), [1, 1, 1, 1, 1.0]),  # a verifier: no spread
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), [0, 0, 0, 0, 0.0]),
        ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0, 0.0), [0, 0, 0, 0, -1.0]),
        ((None, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0), [1, 0, 1, 0, -1.0]),
        ((1.0, 0.0, 0.0), (1.0, None, 0.0, 0.0), [0, 1, 0, 0, -1.0]),
        ((1.0, -math.inf, -math.inf), (1.0, -math.inf, -math.inf, 0.0), [0, 1, 0, 0, 0.0]),
    ],
)
def test_scores_without_a_spread_failed_ones_and_vetoes(
    reference: tuple[float | None, ...], tied: tuple[float | None, ...], expected: list[float]
) -> None:
    terms = ties_terms(two(0, reference, tied))
    assert terms is not None and terms[0].tolist() == expected


def test_the_score_is_that_of_the_published_function() -> None:
    rng = np.random.default_rng(3)
    cases = [(tuple(rng.normal((1, 0, 0))), tuple(rng.normal((1, 1, 0, 0)))) for _ in range(50)]
    outcomes = [outcome for n, (r, t) in enumerate(cases) for outcome in two(n, r, t)]
    gaps_r = [r[0] - max(r[1:]) for r, _ in cases]
    gaps_t = [min(t[:2]) - max(t[2:]) for _, t in cases]
    spreads = [abs(t[0] - t[1]) for _, t in cases]
    narrow = [min(pair) for pair in zip(gaps_r, gaps_t, strict=True)]
    expected = (
        0.3 * fmean(g > 0 for g in gaps_t)
        + 0.3 * fmean(g > 0 for g in gaps_r)
        + 0.2 * fmean(g > s for g, s in zip(gaps_t, spreads, strict=True))
        + 0.2 * fmean(g > s for g, s in zip(narrow, spreads, strict=True))
        + 0.01 * fmean(math.tanh(g / s - 1) for g, s in zip(narrow, spreads, strict=True))
    )
    terms = ties_terms(outcomes)
    assert terms is not None and ties_scores(terms).mean == pytest.approx(expected)
    scores = ties_scores(terms)
    assert (scores.least, scores.most) == pytest.approx((-0.01, 1.01)), "every answer wrong, every answer right"


def test_there_is_no_score_without_scores_or_without_both_cases_of_a_prompt() -> None:
    assert ties_terms([pair(0.9, 0.1, subset="Ties")]) is None
    assert ties_terms(two(0, (1.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0))[1:]) is None
    assert COMPARES.pairwise and is_ties("Ties") and is_ties("ties") and not is_ties("Math")
