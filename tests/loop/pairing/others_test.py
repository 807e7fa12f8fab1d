"""Groups with others in them than the policy's samples, by hand: given sides, explored responses, opponents."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from loop.pairing import named_rule, pair
from loop.pairing.found import Found
from loop.verdict import Group, Verdict
from loop.verdicts import VETO
from tests.loop.pairing.cases import by_ids, cut, found, members, picked, samples, scored

NOBODY_ASKED = Verdict()
SPIN = samples(3, purpose=["train", "chosen", "train"])
DRIFT = samples(3, purpose=["train", "train", "rejected"])
OFFLINE = samples(4, purpose=["chosen", "train", "rejected", "train"])
XPO = samples(4, purpose=["train", "explored", "train", "explored"])
NASH = samples(4, purpose=["train", "opponent", "train", "opponent"])


def roles(one: Found) -> dict[str, int]:
    """The member in each role."""
    return dict(zip(one.roles, one.members, strict=True))


def table(*rows: tuple[float | None, ...]) -> Verdict:
    return Verdict(preferences_KK=rows)


def test_a_given_answer_wins_against_each_sample_and_a_given_failure_loses() -> None:
    assert [roles(one) for one in found("given", SPIN, NOBODY_ASKED)] == [
        {"chosen": 1, "rejected": 0, "on_policy": 0},
        {"chosen": 1, "rejected": 2, "on_policy": 2},
    ]
    assert [roles(one) for one in found("given", DRIFT, NOBODY_ASKED)] == [
        {"chosen": 0, "rejected": 2, "on_policy": 0},
        {"chosen": 1, "rejected": 2, "on_policy": 1},
    ]
    (one, _) = found("given", SPIN, NOBODY_ASKED)
    assert (one.strength, one.margin, one.weight, one.labels) == (1.0, 0.0, 1.0, ())


def test_with_both_sides_given_the_first_sample_is_on_policy() -> None:
    (one,) = found("given", OFFLINE, NOBODY_ASKED)
    assert roles(one) == {"chosen": 0, "rejected": 2, "on_policy": 1}
    unordered = Group("p", tuple(OFFLINE.responses_K[i] for i in (3, 2, 1, 0)))
    (one,) = found("given", unordered, NOBODY_ASKED)
    assert roles(one) == {"chosen": 3, "rejected": 1, "on_policy": 2}, "the smallest k, wherever it stands"
    (one,) = found("given", samples(2, purpose=["rejected", "chosen"]), NOBODY_ASKED)
    assert roles(one) == {"chosen": 1, "rejected": 0}, "nobody sampled"


def test_several_given_sides_all_make_pairs() -> None:
    four = samples(4, purpose=["chosen", "chosen", "train", "train"])
    assert [one.members[:2] for one in found("given", four, NOBODY_ASKED)] == [(0, 2), (0, 3), (1, 2), (1, 3)]


def test_without_a_given_side_or_somebody_to_meet_it_there_is_no_pair() -> None:
    assert found("given", samples(2), NOBODY_ASKED) == []
    assert found("given", samples(1, purpose=["chosen"]), NOBODY_ASKED) == []
    assert found("given", samples(2, purpose=["rejected", "teacher"]), NOBODY_ASKED) == []


def test_the_answer_that_was_given_is_no_failure_when_it_is_sampled() -> None:
    same = samples(3, purpose=["train", "chosen", "train"], tokens_T=[[1], [1], [2]])
    assert [one.members[:2] for one in found("given", same, NOBODY_ASKED)] == [(1, 2)]


def test_a_sample_that_was_cut_loses_to_a_given_one_and_wins_against_none() -> None:
    assert len(found("given", cut(SPIN, 0), NOBODY_ASKED)) == 2
    assert [one.members[:2] for one in found("given", cut(DRIFT, 0), NOBODY_ASKED)] == [(1, 2)]
    assert len(found("given", cut(DRIFT, 0), NOBODY_ASKED, truncated_may_win=True)) == 2


def test_an_explored_response_wins_or_loses_and_is_pushed_away_from_all_the_same() -> None:
    pairs = found("explored", XPO, scored(3.0, 1.0, 0.0, 2.5))
    assert [(roles(one), one.margin, one.strength) for one in pairs] == [
        ({"chosen": 0, "rejected": 1, "explored": 1}, 2.0, 1.0),
        ({"chosen": 0, "rejected": 3, "explored": 3}, 0.5, 1.0),
        ({"chosen": 1, "rejected": 2, "explored": 1}, 1.0, 1.0),
        ({"chosen": 3, "rejected": 2, "explored": 3}, 2.5, 1.0),
    ]


def test_what_ties_with_the_sample_or_has_no_score_explores_nothing() -> None:
    assert members("explored", XPO, scored(1.0, 1.0, None, 2.0)) == [(3, 0, 3)]
    assert members("explored", XPO, scored(1.0, None, None, None)) == []
    assert members("explored", samples(3), scored(1.0, 2.0, 3.0)) == []
    three = samples(3, purpose=["train", "explored", "teacher"])
    assert members("explored", three, scored(1.0, 1.0, 9.0)) == [], "a teacher is nobody's own"


def test_a_vetoed_or_cut_response_loses_to_the_explored_one() -> None:
    two = samples(2, purpose=["train", "explored"])
    (one,) = found("explored", two, scored(VETO, 1.0))
    assert (one.members, one.margin) == ((1, 0, 1), 1.0)
    assert found("explored", two, scored(VETO, VETO)) == []
    assert found("explored", cut(two, 0), scored(2.0, 1.0)) == []
    assert members("explored", cut(two, 0), scored(1.0, 2.0)) == [(1, 0, 1)]
    assert members("explored", cut(two, 0), scored(2.0, 1.0), truncated_may_win=True) == [(0, 1, 1)]
    assert found("explored", samples(2, purpose=["train", "explored"], tokens_T=[[1], [1]]), scored(2.0, 1.0)) == []


def test_two_that_were_compared_differ_by_the_probability_above_one_half() -> None:
    two = samples(2, purpose=["train", "explored"])
    (one,) = pair(*named_rule("explored"), two, table((0.5, 0.2), (0.8, 0.5)), 1, False)
    assert one.by_role("chosen") == one.by_role("explored") == ["id1"]
    assert one.margin == pytest.approx(0.3)


def test_a_sample_is_labelled_with_how_often_it_beats_the_opponents() -> None:
    said = table((0.5, 0.75, None, 0.5), (None,) * 4, (None, 0.25, 0.5, 0.0), (None,) * 4)
    assert [(one.members, one.labels, one.weight) for one in found("opponent_win_rate", NASH, said)] == [
        ((0,), (0.625,), 1.0),
        ((2,), (0.125,), 1.0),
    ]


def test_a_hole_takes_a_sample_out_and_an_opponent_that_nobody_met_does_not_count() -> None:
    hole = table((0.5, 0.75, None, None), (None,) * 4, (None, 0.25, 0.5, 0.0), (None,) * 4)
    assert [(one.members, one.labels) for one in found("opponent_win_rate", NASH, hole)] == [((2,), (0.125,))]
    one_asked = table((0.5, 0.75, None, None), (None,) * 4, (None, 0.25, 0.5, None), (None,) * 4)
    assert [one.labels for one in found("opponent_win_rate", NASH, one_asked)] == [(0.75,), (0.25,)]
    nothing = table(*((None,) * 4,) * 4)
    assert found("opponent_win_rate", NASH, nothing) == []


def test_a_baseline_is_an_opponent_and_without_any_the_first_sample_is_one() -> None:
    said = table((0.5, 0.25, 0.75), (0.75, 0.5, 0.5), (0.25, 0.5, 0.5))
    with_baseline = samples(3, purpose=["train", "train", "baseline"])
    assert [(one.members, one.labels) for one in found("opponent_win_rate", with_baseline, said)] == [
        ((0,), (0.75,)),
        ((1,), (0.5,)),
    ]
    assert [(one.members, one.labels) for one in found("opponent_win_rate", samples(3), said)] == [
        ((1,), (0.75,)),
        ((2,), (0.25,)),
    ]
    teacher = samples(3, purpose=["train", "teacher", "baseline"])
    assert members("opponent_win_rate", teacher, said) == [(0,)], "the policy learns from its own samples"


def test_the_same_sample_drawn_twice_is_two_examples() -> None:
    three = samples(3, purpose=["train", "train", "opponent"], tokens_T=[[1], [1], [2]])
    said = table((0.5, None, 0.5), (None, 0.5, 1.0), (None,) * 3)
    assert [(one.members, one.labels, one.weight) for one in found("opponent_win_rate", three, said)] == [
        ((0,), (0.5,), 1.0),
        ((1,), (1.0,), 1.0),
    ]
    assert members("opponent_win_rate", cut(three, 1), said) == [(0,)]


def test_a_cut_sample_that_beats_the_opponents_is_left_out() -> None:
    said = table((0.5, 0.75, None, 0.5), (None,) * 4, (None, 0.25, 0.5, 0.0), (None,) * 4)
    assert members("opponent_win_rate", cut(NASH, 0, 2), said) == [(2,)]
    assert members("opponent_win_rate", cut(NASH, 0, 2), said, truncated_may_win=True) == [(0,), (2,)]
    even = table((0.5, 0.5, None, 0.5), (None,) * 4, (None,) * 4, (None,) * 4)
    assert members("opponent_win_rate", cut(NASH, 0), even) == [(0,)], "no better than the opponents"


def test_a_baseline_measures_two_samples_like_an_opponent() -> None:
    three = samples(3, purpose=["train", "train", "baseline"])
    (one,) = found("unordered", three, table((0.5, None, 0.7), (None, 0.5, 0.4), (0.3, 0.6, 0.5)))
    assert (*one.members, one.margin, one.strength) == pytest.approx((0, 1, 0.3, 0.65))


def test_two_samples_are_measured_by_the_opponents_that_were_asked_about() -> None:
    one_asked = table((0.5, 0.75, 0.9, None), (0.25,) * 4, (0.1, 0.5, 0.5, None), (None,) * 4)
    (one,) = found("unordered", NASH, one_asked)
    assert (one.members, one.margin, one.strength) == ((0, 2), 0.25, 0.625), "not by what they say of each other"
    unasked = table((0.5, None, 0.9, None), (None,) * 4, (0.1, None, 0.5, None), (None,) * 4)
    assert found("unordered", NASH, unasked) == []


@pytest.mark.parametrize(
    ("rule", "group", "verdict"),
    [
        ("given", OFFLINE, NOBODY_ASKED),
        ("given", SPIN, NOBODY_ASKED),
        ("explored", XPO, scored(3.0, 1.0, 0.0, 2.5)),
        ("opponent_win_rate", NASH, table((0.5, 0.75, 0.4, 0.5), (0.1,) * 4, (0.6, 0.25, 0.5, 0.0), (0.2,) * 4)),
    ],
)
def test_the_order_of_the_responses_does_not_matter(rule: str, group: Group, verdict: Verdict) -> None:
    k = len(group.responses_K)
    whole: Any = {"scores_K": (0.0,) * k, "objectives_KM": ((),) * k, "answers_K": ("",) * k, "repeats_KS": ((),) * k}
    whole |= {"preferences_KK": ((0.5,) * k,) * k}
    filled = Verdict(**{name: getattr(verdict, name) or value for name, value in whole.items()})
    for order in permutations(range(k)):
        turned = picked((group, filled), order)
        assert by_ids(turned, found(rule, *turned)) == by_ids((group, verdict), found(rule, group, verdict))
