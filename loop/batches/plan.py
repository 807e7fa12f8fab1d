"""The batch plan: which example is in which optimiser step, on which rank and in which micro-batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from loop.batches.sequences import TokenSequence
from loop.errors import Refused
from loop.records import Example


class Size(NamedTuple):
    """What the plan knows of an example: tokens of its longest sequence (prompt included), how many sequences it has,
    and its stage."""

    tokens: int
    sequences: int
    stage: int = 0


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
        """Indexes of the step's examples in the step's order, which is that of the round, however the step is split."""
        return sorted(index for rank in self.ranks for micro_batch in rank for index in micro_batch)


def sizes_of(examples: Iterable[Example], sequences: Mapping[str, TokenSequence]) -> list[Size]:
    """The size of each example. Raises `Refused` for a response that is not there."""
    sizes = []
    for example in examples:
        members = dict.fromkeys(example.response_ids)  # one may stand in two roles
        for response_id in members:
            if response_id not in sequences:
                raise Refused(f"example {example.example_id} names response {response_id}, which is in no shard")
        lengths = [len(sequences[response_id].tokens_T) for response_id in members]
        sizes.append(Size(max(lengths), len(lengths), example.stage))
    return sizes


def plan(
    sizes_N: Sequence[Size], ranks: int, batch_examples: int, micro_batch_tokens: int, epochs: int, seed: int
) -> list[Step]:
    """All steps of a learn phase, a pure function of its arguments.

    Every epoch is another permutation drawn from `seed`, in which examples of a smaller stage come first. A
    micro-batch's padded tokens (sequences x longest) stay within `micro_batch_tokens`, except that a larger example
    has one of its own. Only what shares a padding, not what shares a step, depends on lengths.
    """
    steps = []
    for epoch in range(epochs):
        drawn = np.random.default_rng([seed, epoch]).permutation(len(sizes_N)).tolist()
        order = sorted(drawn, key=lambda index: sizes_N[index].stage)
        for start in range(0, len(order), batch_examples):
            chosen = sorted(order[start : start + batch_examples], key=lambda index: (sizes_N[index].tokens, index))
            # Dealt in order of length: every rank gets about the same number of tokens.
            dealt = [_micro_batches(chosen[rank::ranks], sizes_N, micro_batch_tokens) for rank in range(ranks)]
            passes = max(len(micro_batches) for micro_batches in dealt)
            steps.append(Step(epoch, tuple(tuple(m + [()] * (passes - len(m))) for m in dealt)))
    return steps


def _micro_batches(indexes: Sequence[int], sizes_N: Sequence[Size], budget: int) -> list[tuple[int, ...]]:
    """Consecutive micro-batches of indexes sorted by length, each within `budget` padded tokens."""
    micro_batches: list[tuple[int, ...]] = []
    current: list[int] = []
    sequences = 0
    for index in indexes:
        size = sizes_N[index]
        if current and (sequences + size.sequences) * size.tokens > budget:
            micro_batches.append(tuple(current))
            current, sequences = [], 0
        current.append(index)
        sequences += size.sequences
    return [*micro_batches, tuple(current)] if current else micro_batches
