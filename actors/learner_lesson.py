"""What one learn phase works through: examples, the responses and anchor log-probs that they name, the batch plan, and
each step's learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actors.learner_contract import LearnerSettings
from loop.batches import Step, TokenSequence, example_lengths, plan, sequence_of
from loop.errors import Refused
from loop.records import AnchorLogProbs, Example, Response, ShardRef
from loop.schedule import learning_rate, progress
from loop.shards import read_shard


@dataclass(frozen=True, slots=True)
class Lesson:
    """The examples of a round with all that a step needs of them."""

    examples: Sequence[Example]
    sequences: Mapping[str, TokenSequence]
    steps: Sequence[Step]
    rates: Sequence[float]


def read_lesson(
    settings: LearnerSettings,
    world: int,
    round: int,
    rounds: int,
    examples: Sequence[Example],
    response_refs: Sequence[ShardRef],
    anchor_refs: Sequence[ShardRef] | None,
    seed: int,
) -> Lesson:
    """Read what the examples name and plan the phase. The number of ranks, `world`, decides who does what in a step,
    never what is in a step. Raises `Refused` when a response or its anchor log-probs are missing."""
    config, algorithm = settings.learner, settings.algorithm
    wanted = {side for example in examples for side in (example.chosen_id, example.rejected_id)}
    sequences = _read_sequences(response_refs, anchor_refs, wanted)
    lengths = example_lengths(examples, sequences)
    batch, budget = config.batch_examples, config.micro_batch_tokens
    steps = plan(lengths, world, batch, budget, config.epochs, seed)
    done = [progress(algorithm.lr_schedule, round, rounds, at, len(steps)) for at in range(len(steps))]
    rates = [learning_rate(config.lr, share, config.warmup, config.schedule) for share in done]
    return Lesson(examples, sequences, steps, rates)


def responses(refs: Iterable[ShardRef], wanted: set[str] | None) -> Iterator[Response]:
    """Responses, one shard file in memory at a time."""
    for ref in refs:
        for response in read_shard(ref, Response):
            if wanted is None or response.response_id in wanted:
                yield response


def _read_sequences(
    response_refs: Iterable[ShardRef], anchor_refs: Iterable[ShardRef] | None, wanted: set[str]
) -> dict[str, TokenSequence]:
    """Responses with the log-probs of the sampler or of the anchor, as arrays. Raises `Refused` when an anchor's are
    missing."""
    if anchor_refs is None:
        return {response.response_id: sequence_of(response) for response in responses(response_refs, wanted)}
    anchors = {
        row.response_id: np.asarray(row.logprobs_T, np.float32)
        for ref in anchor_refs
        for row in read_shard(ref, AnchorLogProbs)
        if row.response_id in wanted
    }
    sequences = {}
    for response in responses(response_refs, wanted):
        if response.response_id not in anchors:
            raise Refused(f"response {response.response_id} has no anchor log-probs in any shard")
        sequences[response.response_id] = sequence_of(response, anchors[response.response_id])
    return sequences
