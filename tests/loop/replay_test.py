import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.errors import Refused
from loop.replay import DATA, data_shares, replayed

ROUNDS = {r: [f"round{r}-example{i}" for i in range(100)] for r in range(1, 6)}


def by_round(ids):
    return {r: sum(i in set(ROUNDS[r]) for i in ids) for r in ROUNDS}


def test_a_round_by_itself_gets_nothing_back():
    assert replayed(4, ROUNDS, *data_shares("this_round"), seed=0) == ()


def test_accumulating_brings_every_example_back_but_none_of_this_round_or_later():
    assert sorted(replayed(4, ROUNDS, *data_shares("accumulate"), seed=0)) == sorted(ROUNDS[1] + ROUNDS[2] + ROUNDS[3])


def test_replay_brings_back_thirty_percent_then_half_of_that():
    assert by_round(replayed(5, ROUNDS, *data_shares("replay"), seed=0)) == {4: 30, 3: 15, 2: 7, 1: 3, 5: 0}


def test_spin_learns_from_the_round_before_whole():
    first, decay = data_shares("replay", {"first": 1, "decay": 0})
    assert sorted(replayed(4, ROUNDS, first, decay, seed=0)) == sorted(ROUNDS[3])


def test_shares_are_exact_in_decimals():
    for percent in range(101):
        assert len(replayed(2, ROUNDS, percent / 100, 0.5, seed=0)) == percent


def test_examples_of_a_rejected_round_never_come_back_and_its_round_does_not_count():
    assert by_round(replayed(4, ROUNDS, 1.0, 1.0, 0, rejected={2})) == {1: 100, 3: 100, 2: 0, 4: 0, 5: 0}
    assert by_round(replayed(4, ROUNDS, 0.3, 0.5, 0, rejected={3})) == {2: 30, 1: 15, 3: 0, 4: 0, 5: 0}
    # it comes to the same whether the caller still lists it
    listed = {r: ids for r, ids in ROUNDS.items() if r != 3}
    assert replayed(5, listed, 0.3, 0.5, 0, {3}) == replayed(5, ROUNDS, 0.3, 0.5, 0, {3})
    # while a round that had no examples is a round
    assert by_round(replayed(5, listed, 0.3, 0.5, 0)) == {4: 30, 2: 7, 1: 3, 3: 0, 5: 0}


@settings(max_examples=20, deadline=None)
@given(first=st.floats(0, 1), decay=st.floats(0, 1), seed=st.integers(0, 99), order=st.randoms())
def test_what_comes_back_shrinks_and_does_not_depend_on_order(first, decay, seed, order):
    rounds = {r: ids[:10] for r, ids in ROUNDS.items()}
    before = {i for r in range(1, 5) for i in rounds[r]}
    for round in (5, 6, 7):
        shuffled = {r: order.sample(ids, len(ids)) for r, ids in order.sample(list(rounds.items()), len(rounds))}
        now = replayed(round, shuffled, first, decay, seed)
        assert now == replayed(round, rounds, first, decay, seed)
        assert len(set(now)) == len(now)
        assert set(now) - set(rounds[5]) <= before
        before = set(now)


def test_another_seed_brings_other_examples_back():
    assert set(replayed(2, ROUNDS, 0.3, 0.5, seed=0)) != set(replayed(2, ROUNDS, 0.3, 0.5, seed=1))


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("everything", {}, "no data named 'everything'; there are this_round, accumulate, replay"),
        ("accumulate", {"decay": 0.5}, "data accumulate has no option 'decay'"),
        ("replay", {"share": 0.5}, "data replay has no option 'share'"),
        ("replay", {"first": 1.5}, "first=1.5 must lie in 0 to 1"),
    ],
)
def test_data_that_there_are_not_are_refused(data, options, words):
    with pytest.raises(Refused, match=words):
        data_shares(data, options)
    assert data_shares("replay", {"first": 1}) == (1, DATA["replay"]["decay"])
