"""Log-probs of given tokens under a policy, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from loop.batches import Size, TokenSequence, flat_batch, padded, plan

Forward = Callable[..., Tensor]
# a rendering of a flat batch -> log-probs of response tokens, `[R]`


def text_sequence(tokens_T: Sequence[int]) -> TokenSequence:
    """A text of which every token but the first is scored."""
    scored = len(tokens_T) - 1
    return TokenSequence(np.asarray(tokens_T, np.int32), np.ones(scored, np.bool_), np.zeros((0, scored), np.float32))


def scored(
    forward: Forward, sequences: Sequence[TokenSequence], rank: int, world: int, micro_batch_tokens: int
) -> dict[int, list[float]]:
    """Log-prob of each response token for this rank's share of the sequences, by index.

    All ranks make the same number of passes (ZeRO-3 gathers weights in each), shares are even in tokens.
    """
    sizes = [Size(len(sequence.tokens_T), 1) for sequence in sequences]
    result: dict[int, list[float]] = {}
    for step in plan(sizes, world, max(len(sizes), 1), micro_batch_tokens, epochs=1, seed=0):
        for micro_batch in step.ranks[rank]:
            chosen = [sequences[index] for index in micro_batch] or [text_sequence([0, 0])]
            with torch.no_grad():
                logprobs_R = forward(*padded(flat_batch(chosen))).cpu()
            pieces = torch.split(logprobs_R, [len(sequence.loss_mask_R) for sequence in chosen])
            result |= {index: piece.tolist() for index, piece in zip(micro_batch, pieces, strict=bool(micro_batch))}
    return result
