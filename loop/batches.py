"""Learner batches: sequences concatenated into flat arrays. Padding is a rendering of a flat batch, made where a
model needs it.

Axes: `_T` tokens of all sequences one after the other, `_S` sequences, `_N` examples, `_BL` padded rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from loop.errors import Refused
from loop.losses import PairBatch
from loop.records import Example, Response


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One response behind its prompt, as arrays: `tokens_T` holds both, the others run over the response's tokens
    only (`_R`)."""

    tokens_T: np.ndarray
    loss_mask_R: np.ndarray
    anchor_R: np.ndarray

    @property
    def prompt_length(self) -> int:
        """Number of tokens before the response."""
        return len(self.tokens_T) - len(self.loss_mask_R)


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """Pairs and the sequences that they refer to; a response that several pairs use is stored once.

    Over tokens: `tokens_T` ids (int64), `segments_T` index of the token's sequence (non-decreasing), `response_T`
    whether the token belongs to the response, `loss_mask_T` whether it is learnt (only inside responses), `anchor_T`
    its log-prob under the anchor (float32, 0 outside responses). Over examples: `chosen_N` and `rejected_N` sequence
    indexes, `strength_N`, `weight_N` float32.
    """

    tokens_T: Tensor
    segments_T: Tensor
    response_T: Tensor
    loss_mask_T: Tensor
    anchor_T: Tensor
    sequences: int
    example_ids: tuple[str, ...]
    chosen_N: Tensor
    rejected_N: Tensor
    strength_N: Tensor
    weight_N: Tensor


def sequence_of(response: Response, anchor_R: Sequence[float] | np.ndarray | None = None) -> TokenSequence:
    """A response as arrays; without `anchor_R`, the sampler's own log-probs are the anchor's.

    Raises `Refused` when there is not one log-prob per response token.
    """
    logprobs_R = response.logprobs_T if anchor_R is None else anchor_R
    if len(logprobs_R) != len(response.tokens_T):
        raise Refused(
            f"response {response.response_id} has {len(response.tokens_T)} tokens, "
            f"but {len(logprobs_R)} anchor log-probs"
        )
    return TokenSequence(
        np.asarray([*response.prompt_tokens_T, *response.tokens_T], np.int32),
        np.asarray(response.loss_mask_T, np.bool_),
        np.asarray(logprobs_R, np.float32),
    )


def example_lengths(examples: Iterable[Example], sequences: Mapping[str, TokenSequence]) -> list[int]:
    """Tokens of the longer side of each example, prompt included. Raises `Refused` for a response that is not there."""
    lengths = []
    for example in examples:
        for response_id in (example.chosen_id, example.rejected_id):
            if response_id not in sequences:
                raise Refused(f"example {example.example_id} names response {response_id}, which is in no shard")
        lengths.append(max(len(sequences[example.chosen_id].tokens_T), len(sequences[example.rejected_id].tokens_T)))
    return lengths


def pair_batch(examples: Sequence[Example], sequences: Mapping[str, TokenSequence]) -> FlatBatch:
    """Examples and the sequences of their sides as one flat batch."""
    segment = {side: 0 for e in examples for side in (e.chosen_id, e.rejected_id)}
    segment = {response_id: index for index, response_id in enumerate(segment)}
    return replace(
        flat_batch([sequences[response_id] for response_id in segment]),
        example_ids=tuple(e.example_id for e in examples),
        chosen_N=torch.tensor([segment[e.chosen_id] for e in examples], dtype=torch.int64),
        rejected_N=torch.tensor([segment[e.rejected_id] for e in examples], dtype=torch.int64),
        strength_N=torch.tensor([e.strength for e in examples], dtype=torch.float32),
        weight_N=torch.tensor([e.weight for e in examples], dtype=torch.float32),
    )


def flat_batch(sequences: Sequence[TokenSequence]) -> FlatBatch:
    """Sequences as a flat batch without examples."""
    lengths = [len(s.tokens_T) for s in sequences]
    prompts = [s.prompt_length for s in sequences]

    def joined(arrays: list[np.ndarray], dtype: np.typing.DTypeLike) -> Tensor:
        return torch.from_numpy(np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype, copy=False))

    def behind_prompt(arrays: list[np.ndarray], dtype: np.typing.DTypeLike) -> Tensor:
        parts = [
            part for prompt, array in zip(prompts, arrays, strict=True) for part in (np.zeros(prompt, dtype), array)
        ]
        return joined(parts, dtype)

    none_N = torch.zeros(0, dtype=torch.int64)
    return FlatBatch(
        tokens_T=joined([s.tokens_T for s in sequences], np.int64),
        segments_T=torch.repeat_interleave(torch.arange(len(sequences)), torch.tensor(lengths, dtype=torch.int64)),
        response_T=behind_prompt([np.ones(len(s.loss_mask_R), np.bool_) for s in sequences], np.bool_),
        loss_mask_T=behind_prompt([s.loss_mask_R for s in sequences], np.bool_),
        anchor_T=behind_prompt([s.anchor_R for s in sequences], np.float32),
        sequences=len(sequences),
        example_ids=(),
        chosen_N=none_N,
        rejected_N=none_N,
        strength_N=none_N.float(),
        weight_N=none_N.float(),
    )


def padded(batch: FlatBatch) -> tuple[Tensor, Tensor, Tensor]:
    """`ids_BL` (int64), `attention_BL` and `response_BL` (bool), one row per sequence, padded on the right with id 0.

    Reading `response_BL` row by row gives response tokens in the order of the flat batch.
    """
    lengths_S = torch.bincount(batch.segments_T, minlength=batch.sequences)
    longest = int(lengths_S.max()) if batch.sequences else 0
    attention_BL = torch.arange(longest)[None, :] < lengths_S[:, None]
    ids_BL = torch.zeros(batch.sequences, longest, dtype=torch.int64)
    response_BL = torch.zeros(batch.sequences, longest, dtype=torch.bool)
    ids_BL[attention_BL] = batch.tokens_T
    response_BL[attention_BL] = batch.response_T
    return ids_BL, attention_BL, response_BL


def pairs_of(batch: FlatBatch, logprobs_R: Tensor) -> PairBatch:
    """Sums over learnt tokens, from the policy's log-prob of each response token `[R]` in flat order (float32 or
    wider)."""
    segments_R = batch.segments_T[batch.response_T]
    mask_R = batch.loss_mask_T[batch.response_T].to(logprobs_R.dtype)
    anchor_R = batch.anchor_T[batch.response_T].to(logprobs_R.dtype)

    def per_sequence(values_R: Tensor) -> Tensor:
        return values_R.new_zeros(batch.sequences).index_add(0, segments_R, values_R)

    # A token that is not learnt must not enter, not even as 0 * inf.
    lp_S = per_sequence(torch.where(mask_R > 0, logprobs_R, 0))
    rf_S = per_sequence(torch.where(mask_R > 0, anchor_R, 0))
    n_S = per_sequence(mask_R)
    chosen_N, rejected_N = batch.chosen_N, batch.rejected_N
    return PairBatch(
        lp_w=lp_S[chosen_N],
        lp_l=lp_S[rejected_N],
        rf_w=rf_S[chosen_N],
        rf_l=rf_S[rejected_N],
        n_w=n_S[chosen_N],
        n_l=n_S[rejected_N],
        strength=batch.strength_N.to(logprobs_R.dtype),
        weight=batch.weight_N.to(logprobs_R.dtype),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: for each rank its micro-batches, each a tuple of example indexes.

    Every rank has the same number of micro-batches; some may be empty: passes without a loss, so that collectives
    line up.
    """

    epoch: int
    ranks: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def examples(self) -> list[int]:
        """Indexes of the step's examples."""
        return [index for rank in self.ranks for micro_batch in rank for index in micro_batch]


def plan(
    lengths_N: Sequence[int],
    ranks: int,
    batch_examples: int,
    micro_batch_tokens: int,
    epochs: int,
    seed: int,
    sequences: int = 2,
) -> list[Step]:
    """The batch plan: which example is in which optimiser step, on which rank and in which micro-batch.

    `lengths_N` are tokens of each example's longest sequence; an example is `sequences` of them. A micro-batch's
    padded tokens (sequences x longest) stay within `micro_batch_tokens`, except that a longer example has one of its
    own. Every epoch is another permutation drawn from `seed`; only what shares a padding, not what shares a step,
    depends on lengths.
    """
    steps = []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(lengths_N)).tolist()
        for start in range(0, len(order), batch_examples):
            chosen = sorted(order[start : start + batch_examples], key=lambda index: (lengths_N[index], index))
            # Dealt in order of length: every rank gets about the same number of tokens.
            packed = [_packed(chosen[rank::ranks], lengths_N, micro_batch_tokens // sequences) for rank in range(ranks)]
            passes = max(len(micro_batches) for micro_batches in packed)
            steps.append(Step(epoch, tuple(tuple(m + [()] * (passes - len(m))) for m in packed)))
    return steps


def _packed(indexes: Sequence[int], lengths_N: Sequence[int], budget: int) -> list[tuple[int, ...]]:
    """Consecutive micro-batches of indexes sorted by length, each within `budget` padded tokens of one sequence per
    example."""
    micro_batches: list[tuple[int, ...]] = []
    current: list[int] = []
    for index in indexes:
        if current and (len(current) + 1) * lengths_N[index] > budget:
            micro_batches.append(tuple(current))
            current = []
        current.append(index)
    return [*micro_batches, tuple(current)] if current else micro_batches


def to_device(batch: FlatBatch, device: torch.device) -> FlatBatch:
    """The batch with all of its tensors on `device`."""
    moved = {name: value.to(device) for name in batch.__slots__ if isinstance(value := getattr(batch, name), Tensor)}
    return replace(batch, **moved)  # type: ignore[arg-type]
