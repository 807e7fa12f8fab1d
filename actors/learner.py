"""One DeepSpeed rank: trains the policy on examples, computes anchors' log-probs, gives its weights away."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import ray
import torch
from torch import Tensor

from actors import learner_weights
from actors.learner_contract import LearnerSettings, LogProbsRequest
from actors.learner_scoring import Forward, scored, text_sequence
from loop.batches import TokenSequence, example_lengths, plan, sequence_of
from loop.config import OptimizerState
from loop.errors import Refused
from loop.learning import LearnReport
from loop.losses import named_loss
from loop.push import Manifest, Reading
from loop.records import AnchorLogProbs, Example, Response, ShardRef
from loop.schedule import learning_rate, progress
from loop.shards import read_shard, read_shards, write_shard

if TYPE_CHECKING:
    from actors.learner_engine import Engine
    from actors.learner_training import Trainer


class LearnerActor:
    """One rank of `world`. Every method but `endpoint` and `weight_stream` is called on all ranks at once, with the
    same arguments.

    Under ZeRO-3 each rank loads the whole model before it is partitioned, so memory at the start is that of a full
    copy.
    """

    def __init__(self, rank: int, world: int, settings: LearnerSettings, threads: int = 1) -> None:
        self.rank = rank
        self.world = world
        self.settings = settings
        torch.set_num_threads(threads)

    def endpoint(self) -> tuple[str, int]:
        """Address and free port of this rank's node, where the ranks meet."""
        with socket.socket() as listener:
            listener.bind(("", 0))
            return ray.util.get_node_ip_address(), listener.getsockname()[1]

    def start(self, endpoint: tuple[str, int]) -> int:
        """Join the other ranks and load the policy. Returns the bytes of its weights, those of all ranks together."""
        # Not above: the driver imports this module for its class, and needs neither DeepSpeed nor Transformers.
        from actors.learner_engine import Engine, join_group, load_trainable
        from actors.learner_training import Trainer

        config = self.settings.learner
        join_group(self.rank, self.world, *endpoint, config.collective_timeout_s)
        self.engine: Engine = Engine(load_trainable(self.settings.model, config), config, self.settings.model.dtype)
        loss = self.settings.algorithm.loss
        self.trainer: Trainer = Trainer(
            self.engine, named_loss(loss.name, loss.beta, loss.nll), self.rank, self.world, config.max_bad_steps
        )
        return self.engine.weight_bytes

    def learn(
        self,
        round: int,
        rounds: int,
        example_refs: Sequence[ShardRef],
        response_refs: Sequence[ShardRef],
        anchor_refs: Sequence[ShardRef] | None,
        seed: int,
    ) -> LearnReport:
        """Train on a round's examples. Without `anchor_refs` the sampler's own log-probs are the anchor's.

        Without examples nothing happens at all, weight decay included. Raises `Stopped` when too many steps in a row
        were skipped, `Refused` when an example's response or its anchor log-probs are missing.
        """
        examples = read_shards(example_refs, Example)
        if not examples:
            return LearnReport()
        config, algorithm = self.settings.learner, self.settings.algorithm
        wanted = {side for example in examples for side in (example.chosen_id, example.rejected_id)}
        sequences = _read_sequences(response_refs, anchor_refs, wanted)
        steps = plan(
            example_lengths(examples, sequences),
            self.world,
            config.batch_examples,
            config.micro_batch_tokens,
            config.epochs,
            seed,
        )
        rates = [
            learning_rate(
                config.lr,
                progress(algorithm.lr_schedule, round, rounds, at, len(steps)),
                config.warmup,
                config.schedule,
            )
            for at in range(len(steps))
        ]
        if algorithm.optimizer is OptimizerState.reset:
            self.engine.reset_optimizer()
        return self.trainer.train(steps, rates, examples, sequences)

    def log_probs(
        self, response_refs: Sequence[ShardRef], response_ids: Sequence[str] | None, request: LogProbsRequest
    ) -> ShardRef:
        """Log-probs of responses (all of them, or those named) under the present weights or a frozen policy; this
        rank's share.

        A frozen policy is loaded whole on every rank, whatever the ZeRO stage, and freed afterwards.
        """
        config, model = self.settings.learner, self.settings.model
        wanted = None if response_ids is None else set(response_ids)
        ids, sequences = [], []
        for response in _responses(response_refs, wanted):
            ids.append(response.response_id)
            # Responses from outside have no log-probs of their own; none are needed here.
            sequences.append(sequence_of(response, np.zeros(len(response.tokens_T), np.float32)))
        forward: Forward = self.engine.forward
        if request.frozen_path is not None:
            from actors.learner_engine import frozen_forward

            forward = frozen_forward(request.frozen_path, request.frozen_revision, model.dtype, config.logprob_chunk)
        by_index = scored(forward, sequences, self.rank, self.world, config.micro_batch_tokens)
        numerics = f"learner:{model.dtype.value}"
        rows = [
            AnchorLogProbs(ids[index], request.round, request.anchor, request.policy, numerics, logprobs)
            for index, logprobs in sorted(by_index.items())
        ]
        stats = {
            "tokens": float(sum(len(row.logprobs_T) for row in rows)),
            "logprob": sum(sum(row.logprobs_T) for row in rows),
        }
        shard = request.shard + self.rank
        return write_shard(request.store, request.table, request.round, shard, rows, AnchorLogProbs, stats)

    def weight_stream(self, version: str) -> Iterator[dict[str, Tensor] | Manifest]:
        """On rank 0: the weights by layer group, on the CPU in the engine's number format, then their manifest.

        The other ranks run `join_weight_stream` meanwhile.
        """
        yield from learner_weights.stream(self.engine, version, keep=True)

    def join_weight_stream(self) -> None:
        """The part that the other ranks have in a weight stream: they hand over their shares, layer group by layer
        group."""
        for _ in learner_weights.gathered_groups(self.engine, keep=False):
            pass

    def read_probe(self, texts_T: Sequence[Sequence[int]]) -> Reading:
        """Log-probs of fixed texts under the present weights, the same on every rank."""
        sequences = [text_sequence(text) for text in texts_T]
        by_index = scored(self.engine.forward, sequences, 0, 1, self.settings.learner.micro_batch_tokens)
        return Reading.without_cache([by_index[index] for index in range(len(sequences))])

    def export(self, folder: str, card: str) -> None:
        """Write the present weights as a Hugging Face checkpoint, with `card` as its README; rank 0 writes."""
        learner_weights.export(self.engine, self.settings.model, folder, card, keep=self.rank == 0)


def _responses(refs: Iterable[ShardRef], wanted: set[str] | None) -> Iterator[Response]:
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
        return {response.response_id: sequence_of(response) for response in _responses(response_refs, wanted)}
    anchors = {
        row.response_id: np.asarray(row.logprobs_T, np.float32)
        for ref in anchor_refs
        for row in read_shard(ref, AnchorLogProbs)
        if row.response_id in wanted
    }
    sequences = {}
    for response in _responses(response_refs, wanted):
        if response.response_id not in anchors:
            raise Refused(f"response {response.response_id} has no anchor log-probs in any shard")
        sequences[response.response_id] = sequence_of(response, anchors[response.response_id])
    return sequences
