"""The fleets of one run, as Ray actors: what `loop.fleets.Fleets` promises, done for real."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import ray

from actors import cluster
from actors.calls import wait
from actors.engine_settings import EngineSpec
from actors.fleet import Fleet
from actors.judge import JudgeActor
from actors.learner_contract import LearnerSettings, LogProbsRequest
from actors.learner_group import LearnerGroup
from actors.push import probe, push_weights
from actors.rollout import RolloutActor
from actors.self_judge import SelfJudge
from loop.config import Anchor, DType, JudgeKind, RunConfig
from loop.fleets import Pushed
from loop.judges.judge import Judge
from loop.judges.verifier import Verifier
from loop.learning import LearnReport
from loop.model_card import model_card
from loop.push import Manifest, Reading, allowed_gap, fixed_texts, refuse_oversized
from loop.records import Example, PolicyVersion, ShardRef, seed_of
from loop.sampling import GenerateRequest
from loop.shards import read_shards
from loop.task import Task

PROBE_TOKENS = 100
"""Length of a probe text: three whole blocks of the prefix cache."""

INITIAL = PolicyVersion(0, 0)


class System:
    """Engines, judges and learner ranks of one run. Use as a context: leaving it ends what it started."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.config: RunConfig = task.config
        self._manifest: Manifest | None = None
        self._version = INITIAL

    def __enter__(self) -> System:
        """Start the engines and judges, and wait until the engines are up."""
        cluster.connect(self.config.cluster, cluster.threads(self.config.cluster, self.config.rollout.replicas))
        try:
            self._start()
        except BaseException:
            ray.shutdown()
            raise
        return self

    def _start(self) -> None:
        rollout = self.config.rollout
        cluster.require_gpus(self.config.cluster, rollout.replicas, self.config.learner.ranks)
        self._store = str(self.task.store)
        self._engines = self._start_engines()
        judges = self._start_judges()
        self._rollouts: Fleet[GenerateRequest, ShardRef] = Fleet("generation", self._engines, rollout.call_timeout_s)
        self._judges: Fleet[ShardRef, ShardRef] = Fleet("judging", judges, rollout.call_timeout_s)
        # pairing is a matter of milliseconds: it needs no processes of its own
        self._pairers: Fleet[tuple[ShardRef, ShardRef], ShardRef] = Fleet("pairing", judges, rollout.call_timeout_s)
        wait([e.version.remote() for e in self._engines], rollout.start_timeout_s, "starting the engines")
        # the learners load while the engines sample the initial policy's answers
        self._learners = self._start_learners()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave processes behind
        ray.shutdown()
        signal.signal(signal.SIGINT, before)

    def meet(self) -> float:
        """See `Fleets`."""
        config, dtype = self.config, self.config.model.dtype
        model_bytes = self._learners.wait_ready(config.learner.start_timeout_s)
        refuse_oversized(model_bytes, config.push.max_store_gb)
        pool_T = [prompt.tokens_T for prompt in self.task.pool.test]
        length = min(PROBE_TOKENS, config.rollout.max_context - 1)
        self._texts_T = fixed_texts(pool_T, config.push.probe_texts, length)
        self._reading: Reading = self._learners.read_probe(self._texts_T)
        gap = self._probe(None, config.push.tolerance if dtype is DType.float32 else float("inf"))
        self._tolerance = allowed_gap(dtype.value, gap, config.push.tolerance)
        # in other formats decoding differs from a forward pass by more than the probe's texts show
        self._sampler_serves = dtype is DType.float32 and gap <= config.push.tolerance
        return gap

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[ShardRef]:
        """See `Fleets`."""
        return self._rollouts.map(lambda engine, request: engine.generate.remote(request), requests)

    def judge(self, responses: Iterable[ShardRef], evaluation: bool = False) -> Iterator[ShardRef]:
        """See `Fleets`."""
        return self._judges.map(lambda judge, ref: judge.judge.remote(ref, evaluation), responses)

    def pair(self, responses: Sequence[ShardRef], judgements: Sequence[ShardRef]) -> Iterator[ShardRef]:
        """See `Fleets`."""
        shards = zip(responses, judgements, strict=True)
        return self._pairers.map(lambda actor, shard: actor.pair.remote(*shard), shards)

    def anchor(self, round: int, examples: Sequence[ShardRef], responses: Sequence[ShardRef]) -> Iterator[ShardRef]:
        """See `Fleets`. In round 1 every anchor is the policy that sampled."""
        initial = self.config.algorithm.anchor is Anchor.initial and round > 1
        if not initial and self._sampler_serves:
            return
        used = sorted({i for e in read_shards(examples, Example) for i in (e.chosen_id, e.rejected_id)})
        anchor = self.config.algorithm.anchor.value
        yield from self._log_probs("anchors", round, responses, used, anchor, frozen=initial)

    def initial_log_probs(self, round: int, responses: Sequence[ShardRef]) -> Iterator[ShardRef]:
        """See `Fleets`."""
        return self._log_probs("evaluation_anchors", round, responses, None, Anchor.initial.value, frozen=True)

    def learn(
        self, round: int, examples: Sequence[ShardRef], responses: Sequence[ShardRef], anchors: Sequence[ShardRef]
    ) -> LearnReport:
        """See `Fleets`."""
        seed = seed_of(self.task.identity, "learn", round)
        # no anchor shards: the sampler's own log-probs serve, see `anchor`
        return self._learners.learn(round, self.config.rounds, examples, responses, anchors or None, seed)

    def push(self, version: PolicyVersion) -> Pushed:
        """See `Fleets`."""
        timeout_s = self.config.rollout.call_timeout_s
        stream = self._learners.weight_stream(str(version))
        manifest = push_weights(stream, self._engines, str(version), self._manifest, timeout_s)
        previous, self._reading = self._reading, self._learners.read_probe(self._texts_T)
        gap = self._probe(previous, self._tolerance)
        self._manifest, self._version = manifest, version
        return Pushed(json.dumps(asdict(manifest)), manifest.digest, gap)

    def export(self, version: PolicyVersion, folder: Path) -> None:
        """See `Fleets`."""
        self._learners.export(str(folder), model_card(self.task, version))

    def _probe(self, previous: Reading | None, tolerance: float) -> float:
        timeout_s = self.config.rollout.call_timeout_s
        reports = probe(self._engines, self._texts_T, self._reading, previous, tolerance, timeout_s)
        return max(report.gap for report in reports)

    def _log_probs(
        self,
        table: str,
        round: int,
        responses: Sequence[ShardRef],
        ids: Sequence[str] | None,
        anchor: str,
        frozen: bool,
    ) -> Iterator[ShardRef]:
        model = self.config.model
        request = LogProbsRequest(
            store=self._store,
            table=table,
            round=round,
            shard=0,
            anchor=anchor,
            policy=str(INITIAL) if frozen else str(self._version),
            frozen_path=model.path if frozen else None,
            frozen_revision=model.revision if frozen else None,
        )
        yield from self._learners.log_probs(responses, ids, request)

    def _start_engines(self) -> list[Any]:
        config, rollout = self.config, self.config.rollout
        spec = EngineSpec(
            path=config.model.path,
            dtype=config.model.dtype.value,
            max_context=rollout.max_context,
            max_concurrent=rollout.max_concurrent,
            kv_cache_gb=rollout.kv_cache_gb,
            gpu_memory=rollout.gpu_memory,
            prefix_caching=rollout.prefix_caching,
            eager=rollout.eager,
            revision=config.model.revision,
        )
        # at the start the learner ranks load beside them
        threads = cluster.threads(config.cluster, rollout.replicas + config.learner.ranks)
        actor = ray.remote(RolloutActor).options(
            **cluster.options(config.cluster, threads, config.cluster.gpus_per_rollout)
        )
        return [actor.remote(spec, self._store, threads, str(INITIAL)) for _ in range(rollout.replicas)]

    def _start_learners(self) -> LearnerGroup:
        config = self.config
        settings = LearnerSettings(config.model, config.learner, config.algorithm)
        threads = cluster.threads(config.cluster, config.learner.ranks)
        options = cluster.options(config.cluster, threads, config.cluster.gpus_per_learner)
        return LearnerGroup(settings, threads, options)

    def _start_judges(self) -> list[Any]:
        config = self.config
        threads = cluster.threads(config.cluster, config.judge.replicas)
        actor = ray.remote(JudgeActor).options(**cluster.options(config.cluster, threads))
        recipe, path = config.algorithm, self.task.prompts_path
        return [
            actor.remote(self._store, path, recipe, self._judge(), Verifier(config.judge.normalise))
            for _ in range(config.judge.replicas)
        ]

    def _judge(self) -> Judge:
        judge = self.config.judge
        if judge.kind is JudgeKind.self:
            return SelfJudge(self.config, self._engines)
        return Verifier(judge.normalise)
