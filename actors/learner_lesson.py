"""What one learn phase works through: examples, the responses and anchors' log-probs that they name, the batch plan,
and each step's learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actors.learner_contract import LearnerSettings
from loop.batches import Step, TokenSequence, plan, require_fit, sequence_of, sizes_of
from loop.config import Anchor
from loop.errors import Refused
from loop.losses import Loss
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
    loss: Loss,
    world: int,
    round: int,
    rounds: int,
    examples: Sequence[Example],
    response_refs: Sequence[ShardRef],
    anchor_refs: Sequence[ShardRef],
    seed: int,
) -> Lesson:
    """Read what the examples name and plan the phase. The number of ranks, `world`, decides who does what in a step,
    never what is in a step. Raises `Refused` when a response or its log-probs under an anchor are missing, and when an
    example does not fit the loss."""
    config, algorithm = settings.learner, settings.algorithm
    for example in examples:
        require_fit(example.example_id, example.roles, bool(example.labels), loss.row.kind, loss.needs)
    wanted = {response_id for example in examples for response_id in example.response_ids}
    anchors = _read_anchors(algorithm.anchors, round, anchor_refs, wanted)
    sequences = {
        response.response_id: sequence_of(response, [_of(response, *anchor) for anchor in anchors.items()])
        for response in responses(response_refs, wanted)
    }
    sizes = sizes_of(examples, sequences)
    steps = plan(sizes, world, config.batch_examples, config.micro_batch_tokens, config.epochs, seed)
    done = [progress(algorithm.lr_schedule, round, rounds, at, len(steps)) for at in range(len(steps))]
    rates = [learning_rate(config.lr, share, config.warmup, config.schedule) for share in done]
    return Lesson(examples, sequences, steps, rates)


def responses(refs: Iterable[ShardRef], wanted: set[str] | None) -> Iterator[Response]:
    """Responses, one shard file in memory at a time."""
    for ref in refs:
        for response in read_shard(ref, Response):
            if wanted is None or response.response_id in wanted:
                yield response


def _read_anchors(
    anchors: Sequence[Anchor], round: int, refs: Iterable[ShardRef], wanted: set[str]
) -> dict[str, dict[str, np.ndarray] | None]:
    """Under each anchor, in the recipe's order, the log-probs of each response; None where no shard holds any: then
    the sampler's own serve. Raises `Refused` where they cannot, because the anchor is not the policy that sampled."""
    found: dict[str, dict[str, np.ndarray]] = {anchor.value: {} for anchor in anchors}
    for ref in refs:
        for row in read_shard(ref, AnchorLogProbs):
            if row.response_id in wanted and row.anchor in found:
                found[row.anchor][row.response_id] = np.asarray(row.logprobs_T, np.float32)
    if round > 1 and found.get(Anchor.initial.value) == {}:
        raise Refused(f"no shard holds log-probs of round {round}'s responses under the initial policy")
    return {anchor: logprobs or None for anchor, logprobs in found.items()}


def _of(response: Response, anchor: str, logprobs: Mapping[str, np.ndarray] | None) -> np.ndarray | None:
    """A response's log-probs under an anchor, None for the sampler's own. Raises `Refused` when they are missing."""
    if logprobs is None:
        return None
    if response.response_id not in logprobs:
        raise Refused(f"response {response.response_id} has no log-probs under the {anchor} policy in any shard")
    return logprobs[response.response_id]
