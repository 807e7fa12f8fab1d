"""Ranked pairing by hand: the strengths 0.80, 0.30, 0.60, 0.50 order the responses 0, 2, 3, 1."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loop.pairing.links import pair_strength
from loop.verdict import Group, Verdict
from tests.loop.pairing.cases import against_first, cut, found, members, samples

FOUR = samples(4)
STRENGTHS = against_first(0.80, 0.30, 0.60, 0.50)
ORDER = [(0, 2), (0, 3), (0, 1), (2, 3), (2, 1), (3, 1)]


def having_baseline(position: int) -> Group:
    """Four responses of which one is the baseline."""
    return Group(
        "p", tuple(replace(r, purpose="baseline" if i == position else "train") for i, r in enumerate(FOUR.responses_K))
    )


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("logit", [0.727273, 0.8, 0.903226, 0.6, 0.777778, 0.7]),
        ("linear", [0.6, 0.65, 0.75, 0.55, 0.65, 0.6]),
    ],
)
def test_all_pairs_carry_the_strength_of_their_link(link: str, expected: list[float]) -> None:
    pairs = found("ranked", FOUR, STRENGTHS, link=link)
    assert [pair.members for pair in pairs] == ORDER
    assert [pair.strength for pair in pairs] == pytest.approx(expected, abs=1e-6)
    assert [pair.margin for pair in pairs] == pytest.approx([0.2, 0.3, 0.5, 0.1, 0.3, 0.2])


def test_the_baseline_cancels_in_the_logit_link_of_a_bradley_terry_judge() -> None:
    def beats(a: float, b: float) -> float:
        return 1 / (1 + math.exp(b - a))

    for baseline in (-1.0, 0.0, 2.5):
        assert pair_strength(beats(1.3, baseline), beats(0.4, baseline), "logit") == pytest.approx(beats(1.3, 0.4))


def test_neighbours_and_the_best_are_choices_among_all_pairs() -> None:
    everything = found("ranked", FOUR, STRENGTHS)
    assert found("ranked_adjacent", FOUR, STRENGTHS) == [everything[i] for i in (0, 3, 5)]
    assert found("best_against_rest", FOUR, STRENGTHS) == everything[:3]
    assert members("best_against_rest", cut(FOUR, 0), STRENGTHS) == [(2, 3), (2, 1)]


def test_a_pair_with_the_baseline_has_the_judged_strength_itself() -> None:
    pairs = found("with_baseline", having_baseline(3), against_column(3, 0.8, 0.3, 0.6))
    assert {pair.members: pair.strength for pair in pairs} == {(0, 3): 0.8, (2, 3): 0.6, (3, 1): 0.7}
    assert {pair.members: pair.margin for pair in pairs} == pytest.approx({(0, 3): 0.3, (2, 3): 0.1, (3, 1): 0.2})
    tie = against_column(3, 0.5, None, 0.55)
    assert members("with_baseline", having_baseline(3), tie) == [(2, 3)]
    assert members("with_baseline", having_baseline(3), tie, min_strength=0.0) == [(0, 3), (2, 3)]


def test_a_cut_answer_loses_a_tie_with_the_baseline() -> None:
    assert members("with_baseline", cut(having_baseline(3), 0), against_column(3, 0.5), min_strength=0.0) == [(3, 0)]
    assert members("with_baseline", cut(having_baseline(3), 0), against_column(3, 0.9)) == []


def against_column(baseline: int, *strengths: float | None) -> Verdict:
    """Preferences of the first responses against that one."""
    column = [*strengths, *[None] * (4 - len(strengths))]
    column[baseline] = 0.5
    return replace(
        STRENGTHS,
        preferences_KK=tuple(tuple(column[i] if j == baseline else None for j in range(4)) for i in range(4)),
    )


def test_a_baseline_made_for_comparing_is_not_ranked() -> None:
    assert members("ranked", having_baseline(3), against_column(3, 0.8, 0.3, 0.6)) == [(0, 2), (0, 1), (2, 1)]


def test_ties_weak_pairs_holes_and_cut_winners_are_dropped() -> None:
    assert members("ranked", FOUR, against_first(0.5, 0.5, 0.5, 0.5)) == []
    assert len(members("ranked", FOUR, against_first(0.5, 0.5, 0.5, 0.5), min_strength=0.0)) == 6
    assert members("ranked", FOUR, against_first(0.5, 0.7, 0.7, None)) == [(1, 0), (2, 0)]
    assert members("ranked", FOUR, STRENGTHS, link="linear", min_strength=0.65) == [(0, 1)]
    assert members("ranked", cut(FOUR, 0), STRENGTHS) == [(2, 3), (2, 1), (3, 1)]


def test_certain_strengths_stay_finite() -> None:
    (pair,) = found("ranked", samples(2), against_first(0.0, 1.0))
    assert pair.members == (1, 0) and 0.5 < pair.strength < 1.0


def test_a_longer_answer_loses_the_penalty_on_its_logit() -> None:
    longer = samples(3, text=["ten chars.", "twelve chars", "ten chars."])
    (pair,) = found("with_baseline", longer, against_first(0.5, 0.75, None), length_penalty=0.1)
    assert pair.strength == pytest.approx(1 / (1 + math.exp(-(math.log(3) - 0.2))))
