"""Draws: epochs without replacement, shares, and independence of everything but pool, round and seed."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.errors import Refused
from loop.prompts.drawing import draw, refuse_small_pool
from loop.prompts.mixing import cumulative_counts, most_per_round, whole_weights
from loop.prompts.pool import PoolCounts, PromptPool
from loop.records import Prompt

WEIGHTS = st.lists(st.floats(0.01, 10.0) | st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=4)


def pool_of(sizes: dict[str, int], weights: dict[str, float] | None = None) -> PromptPool:
    train = {
        name: [Prompt(f"{name}{n:04d}", "[]", [1], None, name) for n in range(size)] for name, size in sizes.items()
    }
    chosen = weights or dict.fromkeys(sizes, 1.0)
    return PromptPool(train, chosen, [], [], PoolCounts(0, 0, 0, 0, 0, 0, 0))


@settings(deadline=None, max_examples=150)
@given(
    size=st.integers(1, 30),
    per_round=st.integers(1, 30),
    rounds=st.integers(1, 25),
    seed=st.integers(0, 3),
)
def test_every_epoch_uses_every_prompt_once_and_no_round_one_twice(
    size: int, per_round: int, rounds: int, seed: int
) -> None:
    per_round = min(size, per_round)
    pool = pool_of({"a": size})
    drawn = [draw(pool, round, per_round, seed).prompt_ids for round in range(1, rounds + 1)]
    assert all(len(set(ids)) == per_round for ids in drawn)
    times = Counter(itertools.chain(*drawn))
    whole, rest = divmod(rounds * per_round, size)
    assert sorted(times.values()) == [whole] * (size - rest) * (whole > 0) + [whole + 1] * rest


@settings(deadline=None, max_examples=150)
@given(data=st.data(), weights=WEIGHTS, per_round=st.integers(1, 12), rounds=st.integers(1, 20))
def test_sources_keep_epochs_and_shares_when_mixed(
    data: st.DataObject, weights: list[float], per_round: int, rounds: int
) -> None:
    names = "abcd"[: len(weights)]
    sizes = {
        n: data.draw(st.integers(max(m, 1), 25)) for n, m in zip(names, most_per_round(weights, per_round), strict=True)
    }
    pool = pool_of(sizes, dict(zip(names, weights, strict=True)))
    drawn = [draw(pool, round, per_round, 1).prompt_ids for round in range(1, rounds + 1)]
    assert all(len(set(ids)) == per_round for ids in drawn)
    for name, weight in zip(names, weights, strict=True):
        times = Counter(i for ids in drawn for i in ids if i[0] == name)
        missed = [0] * (sizes[name] - len(times))
        assert max(times.values(), default=0) - min([*missed, *times.values()]) <= 1
        assert abs(times.total() - weight / sum(weights) * per_round * rounds) < len(weights)


@given(weights=WEIGHTS, per_round=st.integers(1, 50), rounds=st.integers(0, 60))
def test_every_round_rounds_shares_up_or_down(weights: list[float], per_round: int, rounds: int) -> None:
    taken = cumulative_counts(weights, per_round, rounds)
    assert [sum(at) for at in zip(*taken, strict=True)] == [per_round * n for n in range(rounds + 1)]
    for counts, most in zip(taken, most_per_round(weights, per_round), strict=True):
        assert all(most - 1 <= after - before <= most for before, after in itertools.pairwise(counts))


def test_a_small_weight_is_not_rounded_away() -> None:
    (_, small) = cumulative_counts([99.0, 1.0], 10, 100)
    assert small[-1] == 10
    assert whole_weights([0.5, 1.5]) == [1, 3]


def test_remainders_are_rounded_up_where_they_are_largest() -> None:
    assert [counts[1] for counts in cumulative_counts([0.5, 0.3, 0.2], 4, 1)] == [2, 1, 1]
    assert [counts[1] for counts in cumulative_counts([1.0, 1.0, 2.0], 5, 1)] == [1, 1, 3]


def test_draws_depend_on_seed_and_round_but_not_on_the_order_of_rows_and_sources() -> None:
    pool = pool_of({"a": 40, "b": 40})
    turned = PromptPool({name: pool.train[name][::-1] for name in "ba"}, {"b": 1.0, "a": 1.0}, [], [], pool.counts)
    assert draw(pool, 4, 9, 0) == draw(turned, 4, 9, 0)
    assert pool.digest == turned.digest
    assert draw(pool, 4, 9, 0).prompt_ids != draw(pool, 4, 9, 1).prompt_ids
    assert draw(pool, 1, 40, 0).prompt_ids != draw(pool, 3, 40, 0).prompt_ids


def test_sources_are_mixed_within_a_round() -> None:
    ids = draw(pool_of({"a": 40, "b": 40}), 1, 40, 0).prompt_ids
    assert {prompt_id[0] for prompt_id in ids[:20]} == {prompt_id[0] for prompt_id in ids[20:]} == {"a", "b"}


def test_two_epochs_differ_in_order() -> None:
    pool = pool_of({"a": 30})
    assert draw(pool, 1, 30, 0).prompt_ids != draw(pool, 2, 30, 0).prompt_ids


def test_the_first_epoch_is_a_random_order_of_a_large_source() -> None:
    first = {draw(pool_of({"a": 10}), 1, 1, seed).prompt_ids[0] for seed in range(60)}
    assert len(first) > 7


def test_running_out_is_told_once_per_epoch() -> None:
    pool = pool_of({"a": 10})
    notices = [draw(pool, round, 4, 0).notices for round in range(1, 7)]
    assert [len(some) for some in notices] == [0, 0, 1, 0, 0, 1]
    assert notices[2] == ("Round 3 begins epoch 2 of a: all 10 prompts were used once.",)
    assert notices[5] == ("Round 6 begins epoch 3 of a: all 10 prompts were used twice.",)


def test_a_pool_that_cannot_fill_a_round_is_refused() -> None:
    with pytest.raises(Refused, match=r"^a gives 4 of prompts\.per_round=4 prompts, but has only 3 for rounds"):
        draw(pool_of({"a": 3}), 1, 4, 0)
    with pytest.raises(Refused, match=r"^b gives 2 of prompts\.per_round=3 prompts, but has only 1"):
        refuse_small_pool(pool_of({"a": 9, "b": 1}), 3)


def test_the_digest_depends_on_prompts_weights_and_what_is_held_out() -> None:
    pool = pool_of({"a": 3, "b": 3})
    held = PromptPool(pool.train, pool.weights, [Prompt("x", "[]", [1], None, "a")], [], pool.counts)
    others = [pool_of({"a": 3, "b": 4}), pool_of({"a": 3, "b": 3}, {"a": 1.0, "b": 2.0}), held]
    assert len({other.digest for other in [pool, *others]}) == 4
    assert pool_of({"a": 3, "b": 3}, {"a": 2.0, "b": 2.0}).digest == pool.digest
