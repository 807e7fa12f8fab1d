"""Rules that read preferences all with all, by hand, and what their losses make of it."""

from __future__ import annotations

import pytest

from loop.losses import named_loss
from loop.pairing.found import Found
from loop.verdict import Verdict
from loop.verdicts import win_rates
from tests.loop.losses.fixtures import pair_batch
from tests.loop.losses.pair_vectors_test import ratios
from tests.loop.pairing.cases import compared, cut, found, members, samples, scored

SPPO = (1.0, 0.0, -1.0, 2.0, 0.5)


def learnt(loss: str, pair: Found, ratio_w: float, ratio_l: float, **options: float) -> float:
    """What a loss makes of a pair that was found, at these log-ratios."""
    label_w, label_l = pair.labels or (0.0, 0.0)
    found = ratios(ratio_w, ratio_l, strength=pair.strength, margin=pair.margin, label_w=label_w, label_l=label_l)
    return named_loss(loss, options).evaluate(pair_batch(found)).loss_N.item()


@pytest.mark.parametrize(("rule", "verdict"), [("win_rate", compared(*SPPO)), ("win_rate_of_scores", scored(*SPPO))])
def test_best_and_worst_are_labelled_with_their_win_rates(rule: str, verdict: Verdict) -> None:
    (pair,) = found(rule, samples(5), verdict)
    assert pair.members == (3, 2)
    assert pair.labels == pytest.approx((0.776401, 0.223599), abs=1e-6)
    assert pair.margin == pytest.approx(0.552802, abs=1e-6)
    assert pair.strength == pytest.approx(0.952574, abs=1e-6), "sigmoid(2 - -1)"
    table = compared(*SPPO).preferences_KK
    assert table and win_rates(table) == pytest.approx((0.600651, 0.399349, 0.223599, 0.776401, 0.5), abs=1e-6)


def test_win_rates_that_are_all_equal_say_nothing() -> None:
    assert found("win_rate", samples(3), compared(1.0, 1.0, 1.0)) == []
    assert found("win_rate_of_scores", samples(3), scored(0.3, 0.3, 0.3)) == []
    circle = Verdict(preferences_KK=((0.5, 0.9, 0.1), (0.1, 0.5, 0.9), (0.9, 0.1, 0.5)))
    assert found("win_rate", samples(3), circle) == []


def test_an_unreadable_response_spoils_no_other_but_a_single_hole_takes_both_out() -> None:
    (pair,) = found("win_rate_of_scores", samples(4), scored(1.0, None, 0.0, 2.0))
    assert pair.members == (3, 2)
    assert pair.labels == found("win_rate_of_scores", samples(3), scored(1.0, 0.0, 2.0))[0].labels
    partly = Verdict(
        preferences_KK=((0.5, None, 0.9, 0.8), (None, 0.5, 0.9, 0.9), (0.1, 0.1, 0.5, 0.3), (0.2, 0.1, 0.7, 0.5))
    )
    assert members("win_rate", samples(4), partly) == [(3, 2)]


def test_skew_scores_are_labels_around_zero() -> None:
    skew = ((0.0, 1.0, -1.0), (-1.0, 0.0, 2.0), (1.0, -2.0, 0.0))
    table = tuple(tuple(compared(m, 0.0).preferences_KK[0][1] for m in row) for row in skew)  # type: ignore[index]
    (pair,) = found("win_rate_skew", samples(3), Verdict(preferences_KK=table))
    assert pair.members == (1, 2)
    assert pair.labels == pytest.approx((1 / 3, -1 / 3))
    rates = win_rates(table)
    assert rates[1] and rates[2] and pair.margin == pytest.approx(rates[1] - rates[2]) != pytest.approx(2 / 3)
    assert learnt("gpo", pair, 0.3, -0.2, beta=0.5) == pytest.approx(0.176111, abs=1e-6)


def test_the_pair_of_a_win_rate_loss_reproduces_its_published_value() -> None:
    (pair,) = found("win_rate", samples(5), compared(*SPPO))
    assert learnt("sppo", pair, 0.5, -0.7, beta=0.5) == pytest.approx(0.012228, abs=1e-6)


def test_two_samples_are_a_pair_with_the_judges_probability() -> None:
    two = samples(2)
    (pair,) = found("unordered", two, Verdict(preferences_KK=((0.5, 0.7), (0.3, 0.5))))
    assert (*pair.members, pair.strength, pair.margin) == pytest.approx((0, 1, 0.7, 0.2))
    assert learnt("online_ipo", pair, 0.5, -0.3) == pytest.approx(1.44), "the regression's published value"
    (pair,) = found("unordered", two, Verdict(preferences_KK=((0.5, 0.3), (0.7, 0.5))))
    assert (*pair.members, pair.strength, pair.margin) == pytest.approx((1, 0, 0.7, 0.2))
    tie = Verdict(preferences_KK=((0.5, 0.5), (0.5, 0.5)))
    (pair,) = found("unordered", two, tie)
    assert (pair.members, pair.strength, pair.margin) == ((0, 1), 0.5, 0.0)
    assert members("unordered", cut(two, 0), tie) == [(1, 0)]


def test_an_opponent_is_what_the_two_are_measured_by() -> None:
    three = samples(3, purpose=["train", "train", "opponent"])
    table = ((0.5, None, 0.7), (None, 0.5, 0.4), (0.3, 0.6, 0.5))
    (pair,) = found("unordered", three, Verdict(preferences_KK=table))
    assert (*pair.members, pair.margin, pair.strength) == pytest.approx((0, 1, 0.3, 0.65))
    assert learnt("omd", pair, 0.5, -0.3) == pytest.approx(4.84), "the regression's published value"
    hole = ((0.5, 0.9, 0.7), (0.1, 0.5, None), (0.3, None, 0.5))
    assert found("unordered", three, Verdict(preferences_KK=hole)) == []


def test_several_opponents_count_alike_and_all_must_be_known() -> None:
    four = samples(4, purpose=["train", "train", "opponent", "opponent"])

    def verdict(of_0: float | None) -> Verdict:
        return Verdict(preferences_KK=((0.5, None, 0.75, of_0), (None, 0.5, 0.25, 0.5), (None,) * 4, (None,) * 4))

    (pair,) = found("unordered", four, verdict(0.75))
    assert (*pair.members, pair.margin, pair.strength) == (0, 1, 0.375, 0.6875)
    assert found("unordered", four, verdict(None)) == []


def test_a_tournament_pairs_winner_and_loser() -> None:
    (pair,) = found("tournament", samples(8), compared(0.3, 1.2, -0.5, 0.9, 2.0, 0.1, -1.1, 0.4))
    assert pair.members == (4, 6)
    assert pair.strength == pytest.approx(0.956893, abs=1e-6), "sigmoid(2 - -1.1)"
    assert pair.margin == pytest.approx(pair.strength - 0.5)
    assert found("tournament", samples(4), compared(1.0, 1.0, 1.0, 1.0)) == []


def test_only_candidates_play_a_tournament() -> None:
    four = samples(4, purpose=["train", "opponent", "train", "baseline"])
    assert members("tournament", four, compared(0.3, 2.0, 0.4, -1.0)) == [(2, 0)]
    assert members("tournament", samples(2, purpose=["train", "baseline"]), compared(1.0, 0.0)) == []
    assert members("tournament", samples(1, purpose=["opponent"]), compared(1.0)) == []
