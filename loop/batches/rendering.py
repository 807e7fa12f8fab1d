"""Renderings of a flat batch for a causal language model: one padded row per sequence, or one row with all of them.

Axes: `_BL` rows and positions. Reading `response_BL` row by row gives response tokens in the order of the flat batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from loop.batches.flat import FlatBatch


class Rendering(NamedTuple):
    """Inputs of a forward pass, in the order in which a policy takes them: `ids_BL` and `positions_BL` int64,
    `response_BL` and `attention_BL` bool. No attention: every token is real, and attends to those before it since
    position 0 was last seen. No positions: they count from 0 in every row."""

    ids_BL: Tensor
    attention_BL: Tensor | None
    response_BL: Tensor
    positions_BL: Tensor | None = None


def padded(batch: FlatBatch) -> Rendering:
    """One row per sequence, padded on the right with id 0."""
    lengths_S = torch.bincount(batch.segments_T, minlength=batch.sequences)
    longest = int(lengths_S.max()) if batch.sequences else 0
    attention_BL = torch.arange(longest)[None, :] < lengths_S[:, None]
    ids_BL = torch.zeros(batch.sequences, longest, dtype=torch.int64)
    response_BL = torch.zeros(batch.sequences, longest, dtype=torch.bool)
    ids_BL[attention_BL] = batch.tokens_T
    response_BL[attention_BL] = batch.response_T
    return Rendering(ids_BL, attention_BL, response_BL)


def packed(batch: FlatBatch) -> Rendering:
    """All sequences in one row without padding, `[1, T]`; position ids start anew with every sequence.

    Hugging Face models make block-diagonal attention of such position ids when they are given no attention mask
    (Transformers' `find_packed_sequence_indices`): their attention needs no mask of theirs, and flash attention skips
    what lies outside the blocks.
    """
    lengths_S = torch.bincount(batch.segments_T, minlength=batch.sequences)
    starts_S = lengths_S.cumsum(0) - lengths_S
    positions_T = torch.arange(len(batch.tokens_T)) - starts_S[batch.segments_T]
    return Rendering(batch.tokens_T[None], None, batch.response_T[None], positions_T[None])
