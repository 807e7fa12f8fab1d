"""One DeepSpeed rank: trains the policy on examples, computes anchors' log-probs, gives its weights away."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ray
import torch
from torch import Tensor

from actors import learner_weights
from actors.learner_contract import Frozen, LearnerSettings, LogProbsRequest
from actors.learner_lesson import read_lesson, responses
from actors.learner_scoring import Forward, scored, text_sequence
from loop import crash
from loop.anchors import logprobs_key, needs_log_probs
from loop.batches import sequence_of
from loop.cadence import is_due
from loop.config import OptimizerState, StartFrom
from loop.fleets import Lesson
from loop.learning import LearnReport, Progress, Restored, after, begun, report_of, require_steps
from loop.lessons import examples_of
from loop.push import Manifest, Reading
from loop.recipe import anchors_of, loss_of
from loop.records import AnchorLogProbs, ShardRef, digest_of, seed_of
from loop.shards import read_shard, write_shard

if TYPE_CHECKING:
    from actors.learner_checkpoint import Checkpoints
    from actors.learner_engine import Engine
    from actors.learner_training import Trainer


class LearnerActor:
    """One rank of `world`. Every method but `endpoint`, `ping`, `pause` and `weight_stream` is called on all ranks at
    once, with the same arguments. `ping` and `pause` answer while another call is running.

    Under ZeRO-3 each rank loads the whole model before it is partitioned, so memory at the start is that of a full
    copy.
    """

    def __init__(self, rank: int, world: int, settings: LearnerSettings, threads: int = 1) -> None:
        self.rank = rank
        self.world = world
        self.settings = settings
        self.threads = threads
        self.progress = Progress()
        self._generators: list[Any] | None = None
        self._pause_in = 0

    def endpoint(self) -> tuple[str, int]:
        """Address and free port of this rank's node, where the ranks meet."""
        with socket.socket() as listener:
            listener.bind(("", 0))
            return ray.util.get_node_ip_address(), listener.getsockname()[1]

    def start(self, endpoint: tuple[str, int]) -> int:
        """Join the other ranks and load the policy. Returns the bytes of its weights, those of all ranks together."""
        # Not above: the driver imports this module for its class, and needs neither DeepSpeed nor Transformers.
        from actors.learner_engine import join_group

        torch.set_num_threads(self.threads)  # OpenMP counts by calling thread, and Ray makes actors in another one
        join_group(self.rank, self.world, *endpoint, self.settings.learner.collective_timeout_s)
        self._load()
        return self.engine.weight_bytes

    def begin(self, settings: LearnerSettings) -> None:
        """Go back to the initial policy and belong to another run: nothing is left of the one before. Its model, its
        number of ranks and their patience with each other must be the same."""
        from actors.learner_engine import built_alike

        before, self.settings = self.settings, settings
        self.progress, self._generators, self._pause_in = Progress(), None, 0
        if built_alike(before.learner, settings.learner):
            self._equip()
            self.checkpoints.load_initial()
        else:
            self.engine.deepspeed.destroy()
            self._load()

    def _load(self) -> None:
        """The initial policy in an engine of its own."""
        from actors.learner_engine import Engine, load_trainable

        model, config = self.settings.model, self.settings.learner
        self.engine: Engine = Engine(load_trainable(model, config), config, model.dtype)
        self._equip()

    def _equip(self) -> None:
        """What depends on a run's settings besides the engine."""
        from actors.learner_checkpoint import Checkpoints
        from actors.learner_training import Trainer

        self.trainer: Trainer = Trainer(self.engine, loss_of(self.settings.algorithm), self.rank, self.world)
        self.checkpoints: Checkpoints = Checkpoints(self.engine, self.settings, self.rank, self.world)

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def ping(self) -> int:
        """The process id of this rank, as a sign of life."""
        return os.getpid()

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator]
    def pause(self, round: int) -> None:
        """Let `learn` of this round write a checkpoint at the next step's end and return; without effect on any other
        round. It is enough that one rank is told."""
        self._pause_in = round

    def restore(self) -> Restored:
        """Take up the newest whole checkpoint; without one, the learner stays at the initial policy.

        Raises: Refused for a checkpoint of another run or schema version.
        """
        marker, notices = self.checkpoints.newest()
        if marker is not None:
            self._generators = self.checkpoints.load(marker, carry=True)
            self.progress = marker.progress
        return Restored(self.progress.round, self.progress.complete, tuple(notices))

    def rollback(self, round: int, carry_optimizer: bool) -> None:
        """Go back to the end of `round`'s learn phase (0: the initial policy): its weights, and its optimiser's moments
        and loss's state or none. Raises: Refused when its checkpoint is not kept any more."""
        if round == 0:
            self.checkpoints.load_initial()
            self.progress = Progress()
        else:
            marker = self.checkpoints.end_of(round)
            self.checkpoints.load(marker, carry_optimizer)
            kept = marker.progress
            self.progress = kept if carry_optimizer else dataclasses.replace(kept, loss_state={})

    def learn(self, lesson: Lesson, rounds: int, seed: int) -> LearnReport:
        """Train on a lesson, from where this learner stands inside its round; the report of a round that it has
        finished already. `rounds` is the number of the run's rounds.

        Checkpoints are written every `checkpoint.steps` steps, at the end of a round that is due, and where the phase
        is paused. Without examples nothing happens at all, weight decay included. Raises `Stopped` when too many steps
        in a row were skipped, `Refused` when an example's response or its log-probs under an anchor are missing, when
        an example does not fit the loss or the learner stands elsewhere, `StoreFailed` when a checkpoint could not be
        written.
        """
        round, examples = lesson.round, examples_of(lesson, self.settings.algorithm, self.settings.identity)
        if not examples:
            return LearnReport()
        told = digest_of("lesson", round, seed, [example.example_id for example in examples])
        if self.progress.report is not None and (self.progress.round, self.progress.lesson) == (round, told):
            return self._report(self.progress.report)
        if lesson.start is not None and self.progress.round not in (lesson.start, round):
            self.rollback(lesson.start, carry_optimizer=True)
        loss = self.trainer.loss
        work = read_lesson(self.settings, loss, self.world, lesson, examples, rounds, seed)
        self._take_up(begun(self.progress, round, told, len(work.steps)), seed)
        every = self.settings.checkpoint
        while (at := self.progress.position) < len(work.steps):
            before = self.progress.loss_state
            outcome, state, asked = self.trainer.step(work, at, before, lambda: self._pause_in == round)
            self.progress = after(self.progress, outcome, state)
            crash.reached("learn/step")
            require_steps(self.progress, self.settings.learner.max_bad_steps)
            if at + 1 < len(work.steps) and (asked or (every.steps and (at + 1) % every.steps == 0)):
                self.checkpoints.save(self.progress, (lesson.start, lesson.incumbent))
                if asked:
                    return self._report(report_of(self.progress.outcomes, loss.row.kind, work.rates[at], paused=True))
        report = report_of(self.progress.outcomes, loss.row.kind, work.rates[-1])
        self.progress = dataclasses.replace(self.progress, report=report)
        if self.trainer.any_rank(self._pause_in == round) or is_due(every.every, round, rounds):
            self.checkpoints.save(self.progress, (lesson.start, lesson.incumbent))
        return self._report(report)

    def _report(self, report: LearnReport) -> LearnReport:
        """A report with its steps one by one, which a checkpoint keeps beside it."""
        return dataclasses.replace(report, outcomes=self.progress.outcomes)

    def _take_up(self, progress: Progress, seed: int) -> None:
        """Before a phase's first step the weights and the optimiser are reset, if the recipe says so, the loss's state
        also where anchors move with the rounds, and every rank's random-number generators start anew; inside a phase
        they go on where they were."""
        from actors.learner_state import seed_generators, set_generators

        recipe = self.settings.algorithm
        if progress.position == 0:
            anew = recipe.start_from is StartFrom.initial
            if anew:
                self.checkpoints.load_initial()
            if anew or recipe.optimizer is OptimizerState.reset:
                self.engine.reset_optimizer()
            moving = any(kind != "initial" for kind, _ in anchors_of(recipe))
            if anew or moving or recipe.optimizer is OptimizerState.reset:
                progress = dataclasses.replace(progress, loss_state={})  # running means of ratios to another policy
            seed_generators(seed_of("learn", seed, self.rank))
        elif self._generators is not None:
            set_generators(self._generators)
        self.progress, self._generators = progress, None

    def log_probs(
        self, response_refs: Sequence[ShardRef], response_ids: Sequence[str] | None, request: LogProbsRequest
    ) -> ShardRef:
        """Log-probs of responses (all of them, or those named) under the present weights or a frozen policy; this
        rank's share.

        A frozen policy is loaded whole on every rank, whatever the ZeRO stage, and freed afterwards.
        """
        config, model = self.settings.learner, self.settings.model
        wanted = None if response_ids is None else set(response_ids)
        keys, sequences = {}, []
        for response in responses(response_refs, wanted):
            if request.own and not needs_log_probs(response.policy, len(response.logprobs_T), request.policy):
                continue
            context_T, weights = response.prompt_tokens_T, request.weights
            key = logprobs_key(context_T, response.tokens_T, weights, model.dtype, "learner")
            keys[response.response_id] = key
            sequences.append(sequence_of(response))
        known = self._known(request.known, {*keys.values()})
        todo = [(one, sequence) for one, sequence in zip(keys, sequences, strict=True) if keys[one] not in known]
        forward: Forward = self.engine.forward
        if request.frozen is not None and todo:
            forward = self._frozen(request.frozen)
        share = [sequence for _, sequence in todo]
        by_index = scored(forward, share, self.rank, self.world, config.micro_batch_tokens)
        made = {todo[index][0]: logprobs for index, logprobs in sorted(by_index.items())}
        found = [one for one in keys if keys[one] in known]
        made |= {one: known[keys[one]] for one in found[self.rank :: self.world]}
        numerics = f"learner:{model.dtype.value}"
        rows = [
            AnchorLogProbs(one, request.round, request.anchor, request.policy, numerics, keys[one], logprobs)
            for one, logprobs in made.items()
        ]
        stats = {
            "tokens": float(sum(len(row.logprobs_T) for row in rows)),
            "logprob": sum(sum(row.logprobs_T) for row in rows),
        }
        shard = request.shard + self.rank
        return write_shard(request.store, request.table, request.round, shard, rows, AnchorLogProbs, stats)

    @staticmethod
    def _known(refs: Sequence[ShardRef], keys: set[str]) -> dict[str, list[float]]:
        """Log-probs that other rounds have computed, by key."""
        rows = (row for ref in refs for row in read_shard(ref, AnchorLogProbs))
        return {row.key: row.logprobs_T for row in rows if row.key in keys}

    def weight_stream(self, version: str, frozen: Frozen | None = None) -> Iterator[dict[str, Tensor] | Manifest]:
        """On rank 0: the present weights or those of a frozen policy by layer group, on the CPU in the engine's number
        format, then their manifest.

        The other ranks run `join_weight_stream` meanwhile if it is the present ones.
        """
        if frozen is None:
            groups = learner_weights.gathered_groups(self.engine, keep=True)
        else:
            from actors.learner_engine import load_frozen

            model, chunk = self.settings.model, self.settings.learner.logprob_chunk
            groups = learner_weights.frozen_groups(load_frozen(frozen, model.dtype, chunk))
        yield from learner_weights.stream(groups, version)

    def join_weight_stream(self) -> None:
        """The part that the other ranks have in a weight stream: they hand over their shares, layer group by layer
        group."""
        for _ in learner_weights.gathered_groups(self.engine, keep=False):
            pass

    def read_probe(self, texts_T: Sequence[Sequence[int]], frozen: Frozen | None = None) -> Reading:
        """Log-probs of fixed texts under the present weights, the same on every rank, or under a frozen policy, for
        which one rank does."""
        sequences = [text_sequence(text) for text in texts_T]
        forward = self.engine.forward if frozen is None else self._frozen(frozen)
        by_index = scored(forward, sequences, 0, 1, self.settings.learner.micro_batch_tokens)
        return Reading.without_cache([by_index[index] for index in range(len(sequences))])

    def diagnose(self, lesson: Lesson, answers: Sequence[ShardRef], most: int) -> dict[str, float]:
        """Figures of a probe of the present weights; see `actors.learner_probe`."""
        from actors.learner_probe import probe

        return probe(self.engine, self.settings, self.rank, self.world, lesson, answers, most)

    def _frozen(self, policy: Frozen) -> Forward:
        from actors.learner_engine import frozen_forward

        return frozen_forward(policy, self.settings.model.dtype, self.settings.learner.logprob_chunk)

    def export(self, folder: str, card: str) -> None:
        """Write the present weights as a Hugging Face checkpoint, with `card` as its README; rank 0 writes."""
        learner_weights.export(self.engine, self.settings.model, folder, card, keep=self.rank == 0)
