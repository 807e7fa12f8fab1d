"""Flat batches, their padded rendering, and the batch plan."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loop.batches import Step, TokenSequence, example_lengths, padded, pair_batch, pairs_of, plan, sequence_of
from loop.errors import Refused
from loop.records import Example, Response


def response(response_id: str, prompt: list[int], tokens: list[int], mask: list[bool] | None = None) -> Response:
    logprobs = [-0.5 * (i + 1) for i in range(len(tokens))]
    mask = mask or [True] * len(tokens)
    return Response(
        response_id, 1, "train", "r0", "p", 0, prompt, tokens, logprobs, mask, "", "end", 0, "{}", "tokenizer"
    )


def example(example_id: str, chosen: str, rejected: str, strength: float = 1.0, weight: float = 1.0) -> Example:
    return Example(example_id, 1, "p", chosen, rejected, strength, 0.0, weight)


ROWS = [
    response("a", [1, 2], [3, 4, 5]),
    response("b", [1, 2], [6], [True]),
    response("c", [7], [8, 9], [True, False]),
]
SEQUENCES = {row.response_id: sequence_of(row) for row in ROWS}


def test_a_shared_response_is_stored_once() -> None:
    batch = pair_batch([example("x", "a", "b", 0.75), example("y", "a", "c", weight=2.0)], SEQUENCES)
    assert batch.tokens_T.tolist() == [1, 2, 3, 4, 5, 1, 2, 6, 7, 8, 9]
    assert batch.segments_T.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert batch.response_T.int().tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1]
    assert batch.loss_mask_T.int().tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0]
    assert batch.anchor_T.tolist() == [0, 0, -0.5, -1, -1.5, 0, 0, -0.5, 0, -0.5, -1]
    assert (batch.chosen_N.tolist(), batch.rejected_N.tolist()) == ([0, 0], [1, 2])
    assert (batch.strength_N.tolist(), batch.weight_N.tolist()) == ([0.75, 1.0], [1.0, 2.0])
    assert batch.example_ids == ("x", "y")


def test_padding_is_on_the_right_and_reads_back_in_flat_order() -> None:
    batch = pair_batch([example("x", "b", "a")], SEQUENCES)
    ids_BL, attention_BL, response_BL = padded(batch)
    assert ids_BL.tolist() == [[1, 2, 6, 0, 0], [1, 2, 3, 4, 5]]
    assert attention_BL.int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert ids_BL[attention_BL].tolist() == batch.tokens_T.tolist()
    assert ids_BL[response_BL].tolist() == batch.tokens_T[batch.response_T].tolist()


def test_sums_leave_out_what_is_not_learnt() -> None:
    batch = pair_batch([example("x", "a", "c")], SEQUENCES)
    pairs = pairs_of(batch, torch.tensor([-1.0, -2.0, -4.0, -8.0, -float("inf")], dtype=torch.float64))
    assert (pairs.lp_w.item(), pairs.lp_l.item()) == (-7.0, -8.0)
    assert (pairs.rf_w.item(), pairs.rf_l.item()) == (-3.0, -0.5)
    assert (pairs.n_w.item(), pairs.n_l.item()) == (3.0, 1.0)
    assert pairs.lp_w.dtype == torch.float64


def test_anchor_log_probs_replace_the_samplers_own() -> None:
    anchor_R = [-9.0, -8.0, -7.0]
    assert sequence_of(ROWS[0], anchor_R).anchor_R.tolist() == anchor_R
    with pytest.raises(Refused, match="has 1 tokens, but 3 anchor"):
        sequence_of(ROWS[1], anchor_R)


def test_lengths_are_those_of_the_longer_side() -> None:
    assert example_lengths([example("x", "b", "a"), example("y", "b", "c")], SEQUENCES) == [5, 3]
    with pytest.raises(Refused, match="example z names response q"):
        example_lengths([example("z", "a", "q")], SEQUENCES)


def test_a_batch_without_examples_is_empty() -> None:
    batch = pair_batch([], {})
    ids_BL, _, _ = padded(batch)
    assert ids_BL.shape == (0, 0)
    assert pairs_of(batch, torch.zeros(0)).lp_w.shape == (0,)


lengths = st.lists(st.integers(1, 60), max_size=80)


@given(lengths, st.integers(1, 5), st.integers(1, 40), st.integers(1, 300), st.integers(1, 3), st.integers(0, 2**62))
def test_plan(
    lengths_N: list[int], ranks: int, batch_examples: int, micro_batch_tokens: int, epochs: int, seed: int
) -> None:
    steps = plan(lengths_N, ranks, batch_examples, micro_batch_tokens, epochs, seed)
    assert steps == plan(lengths_N, ranks, batch_examples, micro_batch_tokens, epochs, seed)
    for epoch in range(epochs):
        seen = [index for step in steps if step.epoch == epoch for index in step.examples]
        assert sorted(seen) == list(range(len(lengths_N)))
    for step in steps:
        check_step(step, lengths_N, ranks, micro_batch_tokens)
        assert 1 <= len(step.examples) <= batch_examples
    assert len(steps) == epochs * -(-len(lengths_N) // batch_examples)


def check_step(step: Step, lengths_N: list[int], ranks: int, micro_batch_tokens: int) -> None:
    assert len(step.ranks) == ranks
    assert len({len(micro_batches) for micro_batches in step.ranks}) == 1
    for micro_batch in (m for rank in step.ranks for m in rank):
        padded_tokens = 2 * len(micro_batch) * max((lengths_N[i] for i in micro_batch), default=0)
        assert padded_tokens <= micro_batch_tokens or len(micro_batch) == 1
    assert max(len(rank) for rank in step.ranks) == max(sum(m != () for m in rank) for rank in step.ranks)


@given(lengths, st.integers(1, 40), st.integers(0, 2**62))
def test_the_examples_of_a_step_depend_on_neither_ranks_nor_budget(
    lengths_N: list[int], batch_examples: int, seed: int
) -> None:
    one = plan(lengths_N, 1, batch_examples, 10_000, 2, seed)
    many = plan(lengths_N, 3, batch_examples, 90, 2, seed)
    assert [sorted(s.examples) for s in one] == [sorted(s.examples) for s in many]


def test_plan_changes_with_seed_and_epoch() -> None:
    halves = [plan([5] * 50, 1, 25, 10_000, 2, seed=1)[at] for at in (0, 2)]
    halves.append(plan([5] * 50, 1, 25, 10_000, 1, seed=2)[0])
    assert len({tuple(sorted(step.examples)) for step in halves}) == 3


def test_ranks_share_tokens_evenly() -> None:
    lengths_N = list(np.random.default_rng(0).integers(20, 200, 64))
    (step,) = plan(lengths_N, 2, 64, 4096, 1, seed=0)
    tokens = [sum(lengths_N[i] for m in rank for i in m) for rank in step.ranks]
    assert max(tokens) / min(tokens) < 1.1


def test_token_sequence_knows_its_prompt() -> None:
    sequence = TokenSequence(np.arange(5, dtype=np.int32), np.ones(2, np.bool_), np.zeros(2, np.float32))
    assert sequence.prompt_length == 3
