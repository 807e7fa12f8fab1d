"""Strengths and certainties that follow from how a whole group was judged, by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from loop.config import Plan, PlanConfig
from loop.pairing import named_rule, pair
from loop.records import VerdictRow
from loop.shards import from_table, to_table
from loop.uncertainty import sampling_weights
from loop.verdict import Verdict
from loop.verdicts import VETO, rows_of, verdict, verdict_of
from tests.loop.factories import judgement
from tests.loop.pairing.cases import compared, cut, found, members, samples, scored

SPPO = (1.0, 0.0, -1.0, 2.0, 0.5)
"""Their win rates are .600651, .399349, .223599, .776401 and .5."""


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def repeated(*values_KS: tuple[float, ...]) -> Verdict:
    """A verdict of scores that are the means of these."""
    return Verdict(
        scores_K=tuple(sum(values) / len(values) if values else None for values in values_KS), repeats_KS=values_KS
    )


def test_every_pair_of_a_pool_is_as_strong_as_its_win_rates_differ() -> None:
    pairs = found("soft_win_rate", samples(5), compared(*SPPO))
    assert {one.members for one in pairs} == {
        (3, 0),
        (3, 4),
        (3, 1),
        (3, 2),
        (0, 4),
        (0, 1),
        (0, 2),
        (4, 1),
        (4, 2),
        (1, 2),
    }
    (best,) = [one for one in pairs if one.members == (3, 2)]
    assert (best.strength, best.margin) == pytest.approx((0.666190, 0.552802), abs=1e-6)
    (near,) = [one for one in pairs if one.members == (0, 4)]
    assert (near.strength, near.margin) == pytest.approx((0.531412, 0.100651), abs=1e-6)


def test_equal_win_rates_are_no_pair() -> None:
    assert found("soft_win_rate", samples(3), compared(1.0, 1.0, 1.0)) == []
    circle = Verdict(preferences_KK=((0.5, 0.9, 0.1), (1 - 0.9, 0.5, 0.9), (1 - 0.1, 1 - 0.9, 0.5)))
    assert found("soft_win_rate", samples(3), circle) == [], "but for what rounding makes of it"


def test_a_hole_takes_two_out_of_the_pool_and_an_unreadable_one_only_itself() -> None:
    partly = Verdict(
        preferences_KK=((0.5, None, 0.9, 0.8), (None, 0.5, 0.9, 0.9), (0.1, 0.1, 0.5, 0.3), (0.2, 0.1, 0.7, 0.5))
    )
    assert members("soft_win_rate", samples(4), partly) == [(3, 2)]
    unreadable = Verdict(preferences_KK=((0.5, None, 0.9), (None, 0.5, None), (0.1, None, 0.5)))
    (one,) = found("soft_win_rate", samples(3), unreadable)
    assert (*one.members, one.margin) == pytest.approx((0, 2, 0.4))


def test_a_baseline_is_not_in_the_pool_and_a_cut_response_wins_no_pair() -> None:
    three = samples(3, purpose=["train", "baseline", "teacher"])
    assert members("soft_win_rate", three, compared(0.0, 5.0, 1.0)) == [(2, 0)]
    assert members("soft_win_rate", cut(samples(3), 2), compared(0.0, 1.0, 2.0)) == [(1, 0)]
    assert members("soft_win_rate", samples(2, tokens_T=[[1], [1]]), compared(0.0, 1.0)) == []


def test_estimates_that_disagree_gain() -> None:
    said = repeated((logit(0.9), logit(0.1), logit(0.5)), (0.0, 0.0, 0.0))
    (one,) = found("halves_by_certainty", samples(2), replace(said, scores_K=(1.0, 0.0)))
    assert (one.members, one.margin, one.strength) == ((0, 1), 1.0, 1.0)
    assert one.gain == pytest.approx(0.245376, abs=1e-6)
    (one,) = found("halves_by_certainty", samples(2), repeated((0.7,) * 3, (0.2,) * 3))
    assert one.gain == pytest.approx(0.0, abs=1e-12), "always the same"
    two = Verdict(scores_K=(0.7, 0.3), repeats_KKS=(((), (0.99, 0.01)), ((0.01, 0.99), ())))
    (one,) = found("halves_by_certainty", samples(2), two)
    assert one.gain == pytest.approx(0.637146, abs=1e-6)


def test_a_pair_that_was_judged_once_does_not_say_how_certain_it_is() -> None:
    said = repeated((5.0, 5.0), (4.0,), (1.0, 2.0), ())
    assert members("halves_by_certainty", samples(4), said) == [(0, 2)]
    assert found("halves_by_certainty", samples(2), scored(1.0, 0.0)) == []
    assert found("halves_by_certainty", samples(2), repeated((5.0, 5.0), (1.0,))) == []
    assert members("halves_by_certainty", samples(2), repeated((3.0, 5.0, 4.0), (1.0, 2.0))) == [(0, 1)]


def test_a_veto_now_and_then_is_uncertain_and_two_are_even() -> None:
    said = Verdict(scores_K=(1.0, VETO), repeats_KS=((1.0, VETO), (VETO, VETO)))
    (one,) = found("halves_by_certainty", samples(2), said)
    assert one.gain == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) - math.log(2) / 2)


def test_pairs_are_the_halves_in_their_order_however_many_are_drawn() -> None:
    said = repeated(*((float(6 - i), 6 - i + (i % 3)) for i in range(6)))
    everything = found("halves_by_certainty", samples(6), said)
    assert [one.members for one in everything] == members("halves", samples(6), said)
    assert len(everything) == 9
    for count in range(1, 10):
        drawn = found("halves_by_certainty", samples(6), said, count=count)
        assert drawn == [one for one in everything if one in drawn] and len(drawn) == count
    assert found("halves_by_certainty", samples(6), said, count=100) == everything
    assert found("halves_by_certainty", samples(1), repeated((1.0, 2.0)), count=3) == []


def test_certain_pairs_are_drawn_more_often() -> None:
    said = repeated((0.2, 0.2), (5.0, -4.6), (0.0, 0.0), (0.0, 0.0))
    gains = {one.members: one.gain or 0.0 for one in found("halves_by_certainty", samples(4), said)}
    shares = dict(zip(gains, sampling_weights([*gains.values()]), strict=True))
    assert 0.1 < shares[1, 2] < 0.2 < 0.3 < shares[0, 2]
    times: Counter[tuple[int, ...]] = Counter()
    for n in range(1500):
        four = samples(4, response_id=[f"{n}-{i}" for i in range(4)])
        times.update(members("halves_by_certainty", four, said, count=1))
    assert {pair: times[pair] / 1500 for pair in shares} == pytest.approx(shares, abs=0.03)


def test_repeats_are_kept_with_both_orders_averaged_and_without_what_failed() -> None:
    plan, two = PlanConfig(Plan.all_pairs, repeats=3), samples(2)
    said = [
        judgement(["id0", "id1"], 0.75, sample=0),
        judgement(["id1", "id0"], 0.5, sample=0),
        judgement(["id0", "id1"], None, "failed", sample=1),
        judgement(["id1", "id0"], 0.0, sample=1),
        judgement(["id1", "id0"], 0.25, sample=2),
        judgement(["id0", "id1"], 1.0, sample=2),
    ]
    rows = [replace(row, judgement_id=str(n)) for n, row in enumerate(said)]
    found_one = verdict(plan, two, reversed(rows))
    assert found_one.repeats_KKS == (((), (0.625, 0.875)), ((0.375, 0.125), ()))
    scores = [judgement(["id1"], 2.0, sample=1), judgement(["id1"], 1.0, sample=0), judgement(["id0"], VETO, sample=1)]
    scores = [replace(row, judgement_id=str(n)) for n, row in enumerate(scores)]
    pointwise = PlanConfig(Plan.pointwise, repeats=2)
    one_by_one = verdict(pointwise, two, scores)
    assert one_by_one.repeats_KS == ((VETO,), (1.0, 2.0))
    for config, one in ((plan, found_one), (pointwise, one_by_one)):
        stored = from_table(to_table(rows_of(one, two, 1), VerdictRow), VerdictRow)
        assert verdict_of(config, stored, two) == one
    once = verdict(PlanConfig(Plan.pointwise), two, scores[1:2])
    assert once.repeats_KS is None and [row.repeats_S for row in rows_of(once, two, 1)] == [[], []]


def test_win_rates_serve_and_their_repeats_tell_the_certainty() -> None:
    said = Verdict(preferences_KK=((0.5, 0.7), (0.3, 0.5)), repeats_KKS=(((), (0.9, 0.5)), ((1 - 0.9, 0.5), ())))
    (example,) = pair(*named_rule("halves_by_certainty"), samples(2), said, 1, False)
    assert example.by_role("chosen") == ["id0"]
    assert example.gain == pytest.approx(0.101749, abs=1e-6)
