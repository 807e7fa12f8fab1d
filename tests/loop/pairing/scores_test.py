"""Rules that read scores, by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from loop.pairing.all_pairs import repetition
from loop.pairing.length_banded import bands
from loop.pairing.rejection_sampling import acceptance, accepted
from tests.loop.factories import group, response
from tests.loop.pairing.cases import cut, found, members, samples, scored

FOUR = samples(4)
INF = float("inf")


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.2, 0.9, -1.0, 0.5), [(1, 2)]),
        ((4.3, 2.1, 4.3, 1.0), [(0, 3)]),  # the first of a tie
        ((0.2, 0.9, 0.1, 0.9), [(1, 2)]),
        ((4.0, 4.0, 4.0, 4.0), []),
        ((0.3, 0.3, 0.3), []),
        ((None, 0.1, 0.2, None), [(2, 1)]),
        ((None, 0.1, None, None), []),
    ],
)
def test_best_worst_takes_the_extremes(scores: tuple[float | None, ...], expected: list[tuple[int, int]]) -> None:
    assert members("best_worst", samples(len(scores)), scored(*scores)) == expected


def test_a_pair_has_strength_one_and_the_gap_as_margin() -> None:
    (pair,) = found("best_worst", FOUR, scored(0.2, 0.9, -1.0, 0.5))
    assert (pair.strength, pair.margin) == pytest.approx((1.0, 1.9))


def test_a_tie_among_bests_and_worsts_is_broken_by_id() -> None:
    scores = {"id0": 1.0, "id1": 0.0, "id2": 1.0, "id3": 0.0}
    for order in permutations(FOUR.responses_K):
        (pair,) = found("best_worst", group(*order), scored(*(scores[r.response_id] for r in order)))
        assert [order[i].response_id for i in pair.members] == ["id0", "id1"]


def test_a_cut_answer_may_lose_but_not_win() -> None:
    three = cut(samples(3), 0)
    assert members("best_worst", three, scored(1.0, 0.5, 0.0)) == [(1, 2)]
    assert members("best_worst", three, scored(0.0, 0.5, 1.0)) == [(2, 0)]
    assert members("best_worst", three, scored(1.0, 0.0, 0.0)) == [], "the others are no better than the worst"
    assert members("best_worst", three, scored(1.0, 0.5, 0.0), truncated_may_win=True) == [(0, 2)]


def test_the_random_opponent_is_each_of_the_others_in_turn_of_ids() -> None:
    drawn = Counter[int]()
    for n in range(200):
        four = samples(4, response_id=[f"{n}-{i}" for i in range(4)])
        ((chosen, rejected),) = members("max_random", four, scored(0.0, 3.0, 1.0, 2.0))
        assert chosen == 1
        drawn[rejected] += 1
    assert set(drawn) == {0, 2, 3} and min(drawn.values()) > 40, "67 each are expected"
    assert members("max_random", FOUR, scored(1.0, 1.0, None, None)) == []


def test_the_second_best_is_a_different_answer() -> None:
    assert members("best_second", FOUR, scored(0.0, 3.0, 1.0, 2.0)) == [(1, 3)]
    assert members("best_second", FOUR, scored(0.0, 3.0, 3.0, 2.0)) == [], "equal scores are no pair"
    twins = samples(3, tokens_T=[[1], [1], [2]])
    assert members("best_second", twins, scored(3.0, 2.5, 2.0)) == [(0, 2)]
    assert members("best_second", cut(FOUR, 1), scored(0.0, 3.0, 1.0, 2.0)) == [(3, 2)]


def test_a_length_penalty_chooses_but_the_scores_must_agree() -> None:
    three = samples(3, text=["x" * 10, "x" * 100, "x" * 200])
    assert members("length_penalised", three, scored(1.0, 1.05, 0.9), penalty=0.0) == [(1, 2)]
    (pair,) = found("length_penalised", three, scored(1.0, 1.05, 0.9), penalty=0.001)
    assert pair.members == (0, 2) and pair.margin == pytest.approx(0.1), "the margin is that of the scores"
    assert members("length_penalised", three, scored(1.0, 1.05, 1.1), penalty=0.001) == []


def test_dno_takes_every_clear_pair_and_asks_more_of_a_teacher() -> None:
    six = samples(6, purpose=["train"] * 5 + ["teacher"])
    pairs = found("all_pairs", six, scored(5, 3, 4, 6, 2, 5))
    assert [pair.members for pair in pairs] == [
        *[(0, 1), (0, 2), (0, 4)],
        *[(3, 0), (3, 1), (3, 2), (3, 4), (3, 5)],
        *[(5, 1), (5, 4)],
    ]
    assert [pair.margin for pair in pairs] == [2, 1, 3, 1, 3, 2, 4, 1, 2, 3]
    assert members("all_pairs", six, scored(4, 3, 4, 4, 2, 4)) == [], "nobody scores 5"
    assert members("all_pairs", samples(2), scored(5, 5), gap=0.0, student_gap=0.0) == [], "no gap is no pair"


def test_a_sample_that_repeats_itself_is_a_negative_whatever_its_score() -> None:
    fluent, stuck = response(0, "the cat sat on a mat"), response(1, "aaaaaaaaaaaaaaaaaaaa")
    assert repetition(fluent) == 0.0
    assert repetition(stuck) == pytest.approx(16 / 18), "aaaa 17 times, and aaa with the end"
    assert repetition(replace(stuck, purpose="teacher")) == 0.0
    assert repetition(response(2, "ab")) == 0.0
    two = group(fluent, stuck)
    assert members("all_pairs", two, scored(5, 6)) == [(1, 0)]
    (pair,) = found("all_pairs", two, scored(5, 6), max_repetition=0.5)
    assert (pair.members, pair.margin) == ((0, 1), 5)


def test_halves_meet_each_other() -> None:
    assert len(members("halves", samples(6), scored(5, 4, 3, 2, 1, 0))) == 9
    assert members("halves", samples(5), scored(0, 4, 2, 3, 1)) == [(1, 4), (1, 0), (3, 4), (3, 0)]
    assert members("halves", samples(4), scored(2, 1, 1, 0)) == [(0, 2), (0, 3), (1, 3)], "1 and 1 are no pair"


def test_the_shortest_of_the_good_meets_the_longest_of_the_bad() -> None:
    seven = samples(7, text=["x" * n for n in (900, 500, 300, 700, 650, 1200, 450)])
    scores = scored(5.0, 4.8, 4.2, 3.0, 2.0, 1.9, 4.95)
    assert bands(5.0, 1.9, 0.1) == pytest.approx((4.69, 2.21))
    (pair,) = found("length_banded", seven, scores, rho=0.1)
    assert pair.members == (6, 5) and pair.margin == pytest.approx(3.05)
    assert members("length_banded", seven, scores, rho=0.0) == [(0, 5)], "without bands: best and worst"
    assert members("length_banded", cut(seven, 6), scores, rho=0.1) == [(1, 5)]
    assert members("length_banded", seven, scored(*[3.0] * 7)) == []


def test_a_curriculum_goes_from_the_largest_gap_to_the_smallest() -> None:
    pairs = found("curriculum", FOUR, scored(5, 4, 3, 2))
    assert [(pair.members, pair.margin, pair.stage) for pair in pairs] == [
        ((0, 3), 3, 0),
        ((0, 2), 2, 1),
        ((0, 1), 1, 2),
    ]
    assert members("curriculum", FOUR, scored(5, 5, 3, 2)) == [(0, 3), (0, 2)], "the best has no gap to its equal"
    assert members("curriculum", samples(6), scored(0, 1, 2, 3, 4, 5)) == [(5, 0), (5, 1), (5, 2)]
    twins = samples(4, tokens_T=[[1], [2], [3], [3]])
    assert members("curriculum", twins, scored(5, 4, 2, 2)) == [(0, 2), (0, 1)]
    assert len(members("curriculum", FOUR, scored(5, 4, 3, 2), stages=1)) == 1


@pytest.mark.parametrize(
    ("round", "pairs"),
    [(1, [((0, 3), 0)]), (2, [((0, 2), 1)]), (3, [((0, 1), 2)]), (4, [((0, 3), 0)]), (6, [((0, 1), 2)])],
)
def test_a_curriculum_over_rounds_has_a_stage_in_each(round: int, pairs: list[tuple[tuple[int, int], int]]) -> None:
    four = samples(4, round=[round] * 4)
    told = found("curriculum", four, scored(5, 4, 3, 2), over="rounds")
    assert [(one.members, one.stage) for one in told] == pairs
    fewer = found("curriculum", four, scored(5, 5, 5, 2), over="rounds")
    assert len(fewer) == (round in (1, 4)), "of later stages there is no pair"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((1, 0.5, 0, -1), (1, 0.367879, 0.135335, 0.018316)), ((0.9, 0.5, 0.1), (1, 0.449329, 0.201897))],
)
def test_acceptance_falls_with_the_distance_to_the_best(scores: tuple[float], expected: tuple[float]) -> None:
    assert acceptance(scores, 0.5) == pytest.approx(expected, abs=1e-6)


def test_rejection_sampling_is_the_top_or_everything_at_its_limits() -> None:
    scores = dict(enumerate([0.3, 1.2, -0.5, 0.9, 2.0, 0.1, -1.1, 0.4]))
    eight = samples(8)
    assert accepted(eight, scores, 1e-9, 3) == [4, 1, 3]
    assert sorted(accepted(eight, scores, INF, 8)) == list(range(8))
    assert len(accepted(eight, scores, 0.5, 20)) == 8, "there are no more"
    assert accepted(eight, scores, INF, 3) == [0, 1, 2], "a sweep may accept more than are wanted"
    assert len(members("rejection_sampling", eight, scored(*scores.values()), beta=INF, count=4)) == 2


def test_the_best_that_remains_is_the_measure_of_each_sweep() -> None:
    trials, first, second = 2000, Counter[int](), 0
    for n in range(trials):
        three = samples(3, response_id=[f"{n}-{i}" for i in range(3)])
        taken = accepted(three, {0: 1.0, 1: -1.0, 2: 0.0}, 1.0, 3)
        first[taken[0]] += 1
        second += taken[1] == 1
    a, b = math.exp(-1), math.exp(-2)
    assert first == {0: trials}, "the best is accepted in the first sweep, and its id comes first"
    # 1 comes second if the first sweep accepts it (b), or if that accepts neither it nor 2 and the next one, whose best
    # is 2, accepts it by a new chance (a).
    assert second / trials == pytest.approx(b + (1 - b) * (1 - a) * a, abs=0.03)


def test_accepted_responses_meet_once_or_until_one_is_left() -> None:
    scores = scored(0.3, 1.2, -0.5, 0.9, 2.0, 0.1, -1.1, 0.4)
    assert members("rejection_sampling", samples(8), scores, beta=INF) == [(1, 0), (3, 2), (4, 5), (7, 6)]
    played = members("rejection_sampling", samples(8), scores, beta=INF, pairs="tournament")
    assert played == [(1, 0), (3, 2), (4, 5), (7, 6), (1, 3), (4, 7), (4, 1)]
    five = members("rejection_sampling", samples(5), scored(1, 2, 3, 4, 5), beta=INF, pairs="tournament")
    assert five == [(1, 0), (3, 2), (3, 1), (4, 3)], "n responses have n - 1 matches"
    twins = samples(3, tokens_T=[[1], [1], [2]])
    assert members("rejection_sampling", twins, scored(1, 2, 0), beta=INF) == [(0, 2)]


def test_right_and_wrong_are_drawn_with_replacement() -> None:
    pairs = found("random_right_wrong", FOUR, scored(1, 0, 1, 0), count=1000)
    assert {pair.members for pair in pairs} == {(0, 1), (0, 3), (2, 1), (2, 3)}
    assert all(0.76 < pair.weight < 1.24 for pair in pairs), "of 1000 draws, 250 each are expected"
    few = [pair.weight for pair in found("random_right_wrong", FOUR, scored(1, 0, 1, 0), count=10)]
    drawn = [weight * 10 / len(few) for weight in few]
    assert drawn == pytest.approx([round(times) for times in drawn]) and len(set(drawn)) > 1, "whole draws, not equal"
    assert found("random_right_wrong", FOUR, scored(1, 1, 1, 1)) == []
    assert found("random_right_wrong", FOUR, scored(0, 0, None, 0)) == []
    assert found("random_right_wrong", cut(FOUR, 0), scored(1, 0, 0, 0)) == []


@pytest.mark.parametrize("count", [1, 3, 10, 1000])
def test_the_loss_does_not_grow_with_the_number_of_draws(count: int) -> None:
    twins = samples(4, tokens_T=[[1], [1], [2], [3]])
    for four in (FOUR, twins, cut(FOUR, 0)):
        weights = [one.weight for one in found("random_right_wrong", four, scored(1, 0, 1, 0), count=count)]
        assert sum(weights) == pytest.approx(len(weights))


def test_a_cut_answer_is_not_drawn_as_right() -> None:
    for n in range(20):
        four = samples(4, response_id=[f"{n}-{i}" for i in range(4)])
        ((right, _),) = members("random_right_wrong", cut(four, 0), scored(1, 0, 1, 0), count=1)
        assert right == 2, "every draw gives a pair"


def test_only_correct_responses_are_kept_up_to_a_cap() -> None:
    assert members("keep_correct", FOUR, scored(1, 0, 1, 1), cap=2) == [(0,), (2,)]
    assert members("keep_correct", FOUR, scored(0.2, 0.9, 0.1, 0.4), cap=1, min_score=-INF) == [(1,)], "best of K"
    assert members("keep_correct", cut(FOUR, 1), scored(0.2, 0.9, 0.1, 0.4), cap=1, min_score=-INF) == [(3,)]
    assert members("keep_correct", FOUR, scored(0, 0, None, 0)) == []
    (only,) = found("keep_correct", FOUR, scored(1, 0, 0, 0))
    assert (only.roles, only.labels) == (("response",), (1.0,))


def test_every_response_is_desirable_or_not() -> None:
    def labels(*scores: float | None, **options: Any) -> dict[int, float]:
        four = cut(FOUR, 3)
        return {one.members[0]: one.labels[0] for one in found("labelled", four, scored(*scores), **options)}

    assert labels(0.5, 0.4, None, 0.1) == {0: 1.0, 1: 0.0, 3: 0.0}
    assert labels(0.5, 0.4, 0.0, 0.9) == {0: 1.0, 1: 0.0, 2: 0.0}, "a cut answer is not desirable"
    assert labels(3, 2, 1, 0, split="median") == {0: 1.0, 1: 1.0, 2: 0.0, 3: 0.0}
    assert labels(3, 2, 1, None, split="median") == {0: 1.0, 2: 0.0}, "the median itself says nothing"
    assert labels(2, 2, 2, 2, split="median") == {}
    assert labels(None, None, None, None) == {}


def test_a_list_holds_all_known_scores_best_first() -> None:
    (one,) = found("listed", FOUR, scored(0.1, 0.9, None, 0.5))
    assert (one.members, one.labels, one.roles) == ((1, 3, 0), (0.9, 0.5, 0.1), ("item",) * 3)
    assert found("listed", FOUR, scored(0.5, 0.5, 0.5, None)) == []
    assert found("listed", FOUR, scored(0.5, None, None, None)) == []
    assert members("listed", cut(FOUR, 3), scored(0.1, 0.9, 0.0, 0.5)) == [(1, 0, 2)], "a cut answer above others"
    assert members("listed", cut(FOUR, 3), scored(0.1, 0.9, 0.4, 0.0)) == [(1, 2, 0, 3)]


def test_a_list_by_win_rate_is_labelled_between_0_and_1() -> None:
    # SPPO's five scores have the win rates 0.600651, 0.399349, 0.223599, 0.776401 and 0.5
    (one,) = found("listed_by_win_rate", samples(6), scored(1.0, 0.0, -1.0, 2.0, 0.5, None))
    assert (one.members, one.roles) == ((3, 0, 4, 1, 2), ("item",) * 5)
    assert one.labels == pytest.approx((0.776401, 0.600651, 0.5, 0.399349, 0.223599), abs=1e-6)
    assert one.margin == pytest.approx(0.552802, abs=1e-6)
    (left,) = found("listed_by_win_rate", cut(samples(5), 3), scored(1.0, 0.0, -1.0, 2.0, 0.5))
    assert left.labels == pytest.approx((0.600651, 0.5, 0.399349, 0.223599), abs=1e-6), "what is left out counts too"
    assert found("listed_by_win_rate", FOUR, scored(0.5, 0.5, 0.5, None)) == []
    assert found("listed_by_win_rate", FOUR, scored(None, None, None, None)) == []
