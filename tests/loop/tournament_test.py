from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.config import Plan, PlanConfig
from loop.plans import tournament_result
from loop.plans.tournament import Bracket, matches_at_most, play, seeds_of
from loop.verdict import Verdict
from loop.verdicts import bradley_terry, verdict
from tests.loop.factories import group, response
from tests.loop.judged import by_scores, judged, of_candidates, of_size, untimed, waves

PLAN = PlanConfig(Plan.tournament)


def bracket(scores: list[float]) -> Bracket:
    """All matches by score, seeded by position."""
    table = bradley_terry(tuple(scores))
    return play(range(len(scores)), lambda i, j: table[i][j])


def test_a_tournament_of_eight() -> None:
    # INPO's eight scores: first round, then winners 1, 3, 4, 7 and losers 0, 2, 5, 6 among themselves
    found = bracket([0.3, 1.2, -0.5, 0.9, 2.0, 0.1, -1.1, 0.4])
    first, winners, losers = ((0, 1), (2, 3), (4, 5), (6, 7)), ((1, 3), (4, 7), (1, 4)), ((0, 2), (5, 6), (2, 6))
    assert found.matches == (*first, *winners, *losers, (4, 6))
    assert found.last == (4, 6)


@pytest.mark.parametrize("k", range(2, 17))
def test_a_transitive_judge_s_best_wins_and_its_worst_loses_after_so_many_matches(k: int) -> None:
    drawn = random.Random(k)
    for _ in range(30):
        scores = drawn.sample(range(100), k)
        found = bracket([float(s) for s in scores])
        assert found.last == (scores.index(max(scores)), scores.index(min(scores)))
        expected = k // 2 + 2 * ((k + 1) // 2 - 1) + 1  # first round, two sides down to one, last match
        met_before = frozenset(found.last) in map(frozenset, found.matches[: expected - 1])
        assert len(found.matches) == expected - met_before
        met = {frozenset(match) for match in found.matches}
        assert len(met) == len(found.matches) and frozenset(found.last) in met
        assert len(found.matches) <= matches_at_most(k)


def test_the_most_matches_are_reached() -> None:
    assert [matches_at_most(k) for k in range(1, 9)] == [0, 1, 3, 5, 7, 8, 10, 11]
    for k in range(2, 8):
        orders = itertools.islice(itertools.permutations(range(k)), 720)
        assert max(len(bracket([float(s) for s in order]).matches) for order in orders) == matches_at_most(k)


def test_the_last_two_do_not_meet_twice() -> None:
    found = bracket([9.0, 1.0, 3.0, 4.0])  # best and worst meet in the first round
    assert found.matches == ((0, 1), (2, 3), (0, 3), (1, 2))
    assert found.last == (0, 1)


def test_who_has_a_bye_in_the_first_round_can_win_and_can_lose() -> None:
    assert bracket([2.0, 1.0, 3.0]).last == (2, 1)
    assert bracket([2.0, 3.0, 1.0]).last == (1, 2)


def test_whoever_wins_and_loses_in_a_circle_is_no_result() -> None:
    # 2 has a bye, beats the winner 0 and is beaten by the loser 1
    beats = {(0, 1): 0.9, (0, 2): 0.1, (1, 2): 0.9}
    assert play(range(3), lambda i, j: beats[i, j]) == Bracket(((0, 1), (0, 2), (1, 2)))


def test_a_tie_goes_to_the_first_of_the_match_but_wins_no_last_one() -> None:
    assert bracket([1.0, 1.0, 1.0, 1.0]).last == (0, 3)
    two = group(response(0), response(1))
    assert tournament_result(two, Verdict(preferences_KK=((0.5, 0.5), (0.5, 0.5)))) is None
    assert tournament_result(two, Verdict(preferences_KK=((0.5, 0.51), (0.49, 0.5)))) == (0, 1)


def test_a_winner_that_loses_the_last_match_is_no_result() -> None:
    four = group(*(response(k) for k in range(4)))
    table = bradley_terry((4.0, 1.0, 3.0, 2.0))
    assert tournament_result(four, Verdict(preferences_KK=table)) == (0, 1)
    scores = (4.0, 2.0, 3.0, 1.0)
    turned = [list(row) for row in bradley_terry(scores)]
    assert tournament_result(four, Verdict(preferences_KK=tuple(map(tuple, turned)))) == (0, 3)
    turned[0][3], turned[3][0] = 0.3, 0.7
    assert tournament_result(four, Verdict(preferences_KK=tuple(map(tuple, turned)))) is None


@untimed
@given(st.integers(2, 12), st.integers(0, 1000))
def test_every_match_decides_and_a_hole_in_one_voids_the_tournament(k: int, seed: int) -> None:
    some = of_candidates(k)
    drawn = random.Random(seed)
    table = [list(row) for row in bradley_terry(tuple(drawn.sample(range(100), k)))]
    matches = play(seeds_of(some), lambda i, j: table[i][j]).matches
    assert tournament_result(some, Verdict(preferences_KK=tuple(map(tuple, table)))) is not None
    everybody = set(itertools.combinations(range(k), 2))
    for i, j in everybody - {(min(m), max(m)) for m in matches}:
        table[i][j] = table[j][i] = None  # nobody asked
    assert tournament_result(some, Verdict(preferences_KK=tuple(map(tuple, table)))) is not None
    i, j = drawn.choice(matches)
    table[i][j] = table[j][i] = None
    assert tournament_result(some, Verdict(preferences_KK=tuple(map(tuple, table)))) is None


def test_who_is_only_compared_with_is_never_asked_about() -> None:
    nine = of_size(9)
    baseline = nine.responses_K[nine.baseline].response_id
    rows = judged(PLAN, nine, by_scores(nine, [5.0, 1.0, 3.0, 4.0, 9.0, 2.0, 0.0, 6.0, 7.0]))
    assert {i for row in rows for i in row.response_ids} == {r.response_id for r in nine.responses_K} - {baseline}
    assert tournament_result(nine, verdict(PLAN, nine, rows)) == (8, 6), "the baseline, 4, is the best"
    assert judged(PLAN, of_size(2), by_scores(of_size(2), [1.0, 0.0])) == [], "nobody to play against"
    assert judged(PLAN, of_size(1), by_scores(of_size(1), [1.0])) == [], "nobody at all"


@pytest.mark.parametrize("both_orders", [True, False])
@pytest.mark.parametrize("k", [2, 5, 8])
def test_a_void_tournament_asks_no_more(k: int, both_orders: bool) -> None:
    plan, some = PlanConfig(Plan.tournament, both_orders), of_candidates(k)
    one = some.responses_K[seeds_of(some)[0]].response_id
    done = waves(plan, some, lambda q: None if q.response_ids[0] == one or not both_orders else 0.9)
    assert len(done) == 1 and len(done[0]) == k // 2 * (1 + both_orders)
    assert tournament_result(some, verdict(plan, some, done[0])) is None


def test_a_hole_among_the_losers_stops_the_winners_too() -> None:
    eight = of_candidates(8)
    ids = [eight.responses_K[i].response_id for i in seeds_of(eight)]  # of two, the first in this order wins
    done = waves(
        PLAN,
        eight,
        lambda q: None if {*q.response_ids} == {ids[1], ids[3]} else float(q.response_ids == sorted(q.response_ids)),
    )
    assert [len(wave) for wave in done] == [2 * 4, 2 * (2 + 2)], "the winners' last match is not asked"
    assert tournament_result(eight, verdict(PLAN, eight, [one for wave in done for one in wave])) is None


@untimed
@given(st.integers(2, 12), st.booleans(), st.integers(1, 3), st.randoms(use_true_random=False))
def test_asked_in_waves_it_finds_the_best_and_the_worst(
    k: int, both_orders: bool, repeats: int, drawn: random.Random
) -> None:
    plan, some = PlanConfig(Plan.tournament, both_orders, repeats), of_candidates(k)
    scores = [float(s) for s in drawn.sample(range(100), k)]
    said = verdict(plan, some, judged(plan, some, by_scores(some, scores)))
    assert tournament_result(some, said) == (scores.index(max(scores)), scores.index(min(scores)))
