"""The batch plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.batches import Size, Step, plan, sizes_of
from loop.errors import Refused
from tests.loop.batches.rows import SEQUENCES
from tests.loop.factories import list_example, pair_example, single_example


def pairs(lengths: list[int]) -> list[Size]:
    return [Size(length, 2) for length in lengths]


sizes = st.lists(st.builds(Size, st.integers(1, 60), st.integers(1, 6), st.integers(0, 2)), max_size=80)


def test_an_example_is_as_large_as_its_longest_sequence_and_their_number() -> None:
    examples = [
        replace(pair_example("x", "b", "a"), stage=4),
        single_example("y", "c", 1.0),
        list_example("z", ["b", "c", "b"], [1.0, 2.0, 3.0]),
    ]
    assert sizes_of(examples, SEQUENCES) == [Size(5, 2, 4), Size(3, 1, 0), Size(3, 2, 0)], "b is stored once"
    with pytest.raises(Refused, match="example z names response q"):
        sizes_of([pair_example("z", "a", "q")], SEQUENCES)


@given(sizes, st.integers(1, 5), st.integers(1, 40), st.integers(1, 300), st.integers(1, 3), st.integers(0, 2**62))
def test_plan(sizes_N: list[Size], ranks: int, batch: int, budget: int, epochs: int, seed: int) -> None:
    steps = plan(sizes_N, ranks, batch, budget, epochs, seed)
    assert steps == plan(sizes_N, ranks, batch, budget, epochs, seed)
    for epoch in range(epochs):
        ours = [step for step in steps if step.epoch == epoch]
        assert sorted(index for step in ours for index in step.examples) == list(range(len(sizes_N)))
        stages = [stage for step in ours for stage in sorted(sizes_N[index].stage for index in step.examples)]
        assert stages == sorted(stages), "no step comes before one of a smaller stage"
    for step in steps:
        check_step(step, sizes_N, ranks, budget)
        assert 1 <= len(step.examples) <= batch
    assert len(steps) == epochs * -(-len(sizes_N) // batch)


def check_step(step: Step, sizes_N: list[Size], ranks: int, budget: int) -> None:
    assert len(step.ranks) == ranks
    assert len({len(micro_batches) for micro_batches in step.ranks}) == 1
    for micro_batch in (m for rank in step.ranks for m in rank):
        padded = sum(sizes_N[i].sequences for i in micro_batch) * max(
            (sizes_N[i].tokens for i in micro_batch), default=0
        )
        assert padded <= budget or len(micro_batch) == 1
    assert max(len(rank) for rank in step.ranks) == max(sum(m != () for m in rank) for rank in step.ranks)


@given(sizes, st.integers(1, 40), st.integers(0, 2**62))
def test_the_examples_of_a_step_depend_on_neither_ranks_nor_budget(sizes_N: list[Size], batch: int, seed: int) -> None:
    one = plan(sizes_N, 1, batch, 10_000, 2, seed)
    many = plan(sizes_N, 3, batch, 90, 2, seed)
    assert [s.examples for s in one] == [s.examples for s in many]


def test_the_order_of_plain_pairs_is_the_seeds_permutation() -> None:
    order = np.random.default_rng([7, 1]).permutation(10).tolist()
    steps = plan(pairs([5] * 10), 1, 4, 10_000, 2, seed=7)
    assert [step.examples for step in steps[3:]] == [sorted(order[:4]), sorted(order[4:8]), sorted(order[8:])]
    staged = plan([Size(5, 2, stage=int(i < 5)) for i in range(10)], 1, 5, 10_000, 2, seed=7)
    assert [step.examples for step in staged] == [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]] * 2
    within = plan([Size(5, 2, stage=int(i < 5)) for i in range(10)], 1, 1, 10_000, 1, seed=7)
    drawn = np.random.default_rng([7, 0]).permutation(10).tolist()
    assert [step.examples[0] for step in within[:5]] == [index for index in drawn if index >= 5], "shuffled in a stage"


def test_a_micro_batch_holds_fewer_of_the_larger_examples() -> None:
    def widths(sequences: int) -> list[int]:
        (step,) = plan([Size(10, sequences)] * 12, 1, 12, 120, 1, seed=0)
        return [len(micro_batch) for micro_batch in step.ranks[0]]

    assert (widths(1), widths(2), widths(5)) == ([12], [6, 6], [2] * 6)


def test_plan_changes_with_seed_and_epoch() -> None:
    halves = [plan(pairs([5] * 50), 1, 25, 10_000, 2, seed=1)[at] for at in (0, 2)]
    halves.append(plan(pairs([5] * 50), 1, 25, 10_000, 1, seed=2)[0])
    assert len({tuple(step.examples) for step in halves}) == 3


def test_ranks_share_tokens_evenly() -> None:
    lengths = list(np.random.default_rng(0).integers(20, 200, 64))
    (step,) = plan(pairs(lengths), 2, 64, 4096, 1, seed=0)
    tokens = [sum(lengths[i] for m in rank for i in m) for rank in step.ranks]
    assert max(tokens) / min(tokens) < 1.1
