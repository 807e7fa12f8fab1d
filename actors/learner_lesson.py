"""What one learn phase works through: examples, the responses and anchors' log-probs that they name, the batch plan,
and each step's learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actors.learner_contract import LearnerSettings
from loop.anchors import Resolved, combine, needs_log_probs
from loop.batches import Step, TokenSequence, plan, require_fit, sequence_of, sizes_of
from loop.errors import Refused
from loop.fleets import Lesson
from loop.losses import Loss
from loop.records import AnchorLogProbs, Example, Response, ShardRef
from loop.schedule import learning_rate, progress
from loop.shards import read_shard

LogProbs = Mapping[tuple[str, str], np.ndarray]
"""Log-probs of responses by policy and response."""


@dataclass(frozen=True, slots=True)
class Work:
    """A lesson read: its examples with all that a step needs of them."""

    examples: Sequence[Example]
    sequences: Mapping[str, TokenSequence]
    steps: Sequence[Step]
    rates: Sequence[float]


def read_lesson(
    settings: LearnerSettings,
    loss: Loss,
    world: int,
    lesson: Lesson,
    examples: Sequence[Example],
    rounds: int,
    seed: int,
) -> Work:
    """Read what the examples name and plan the phase. The number of ranks, `world`, decides who does what in a step,
    never what is in a step. Raises `Refused` when a response or its log-probs under an anchor are missing, and when an
    example does not fit the loss."""
    config, algorithm = settings.learner, settings.algorithm
    for example in examples:
        labelled, gained = bool(example.labels), example.gain is not None
        require_fit(example.example_id, example.roles, labelled, loss.row.kind, loss.needs, gained)
    wanted = {response_id for example in examples for response_id in example.response_ids}
    anchors = _read_anchors(lesson.anchors, wanted)
    sequences = {
        response.response_id: sequence_of(response, [_under(one, response, anchors) for one in lesson.serving])
        for response in responses(lesson.responses, wanted)
    }
    sizes = sizes_of(examples, sequences)
    steps = plan(sizes, world, config.batch_examples, config.micro_batch_tokens, config.epochs, seed)
    each = 2 if algorithm.look_ahead else 1  # a look-ahead and the step that follows it are at the same place
    round, of = (lesson.round + each - 1) // each, rounds // each
    done = [progress(algorithm.lr_schedule, round, of, at, len(steps)) for at in range(len(steps))]
    rates = [learning_rate(config.lr * lesson.lr_factor, share, config.warmup, config.schedule) for share in done]
    return Work(examples, sequences, steps, rates)


def responses(refs: Iterable[ShardRef], wanted: set[str] | None) -> Iterator[Response]:
    """Responses, one shard file in memory at a time."""
    for ref in refs:
        for response in read_shard(ref, Response):
            if wanted is None or response.response_id in wanted:
                yield response


def _read_anchors(refs: Iterable[ShardRef], wanted: set[str]) -> dict[tuple[str, str], np.ndarray]:
    """Log-probs by policy and response."""
    return {
        (row.policy, row.response_id): np.asarray(row.logprobs_T, np.float32)
        for ref in refs
        for row in read_shard(ref, AnchorLogProbs)
        if row.response_id in wanted
    }


def known_under(anchor: Resolved, response: Response, logprobs: LogProbs) -> np.ndarray | None:
    """A response's log-probs under an anchor `[R]`, None where they are not known."""
    try:
        return _under(anchor, response, logprobs) if anchor.labels else None
    except Refused:
        return None


def _under(anchor: Resolved, response: Response, logprobs: LogProbs) -> np.ndarray:
    """A response's log-probs under an anchor `[R]`. Where none were computed for the policy that sampled it, those that
    came with it serve. Raises `Refused` when they are missing."""
    found: list[np.ndarray] = []
    for label in anchor.labels:
        row = logprobs.get((label, response.response_id))
        if row is None and not needs_log_probs(response.policy, len(response.logprobs_T), label):
            row = np.asarray(response.logprobs_T, np.float32)
        if row is None:
            raise Refused(f"response {response.response_id} has no log-probs under policy {label} in any shard")
        found.append(row)
    return found[0] if len(found) == 1 else combine(anchor.weights, found)
