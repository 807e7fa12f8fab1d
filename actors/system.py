"""The fleets of one run, as Ray actors: what `loop.fleets.Fleets` promises, done for real."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import ray

from actors import cluster
from actors.fleet import Fleet
from actors.judge import CheckRequest
from actors.learner_contract import LogProbsRequest
from actors.learners import Learners
from actors.push import probe, push_weights, refresh_engine
from actors.scaling import Scaling
from actors.starting import INITIAL, Told, limits_of, start_engines, start_judges
from loop.anchors import Resolved, sampler_serves
from loop.config import RunConfig
from loop.config_types import DType
from loop.errors import EnginesDied, InfrastructureFailed
from loop.fleets import Judged, Lesson, Pushed
from loop.judge_schedule import judge_of
from loop.judges.calibration import pairs_for
from loop.judges.capabilities import asks_engines, hosting
from loop.learning import LearnReport, Restored
from loop.lessons import examples_of
from loop.model_card import model_card
from loop.push import Manifest, Reading, allowed_gap, fixed_texts, refuse_oversized
from loop.recipe import anchors_of
from loop.records import PolicyVersion, ShardRef, Telemetry
from loop.sampling import GenerateRequest
from loop.task import Task

USAGE_TIMEOUT_S = 10.0

PROBE_TOKENS = 100
"""Length of a probe text: three whole blocks of the prefix cache."""


class System:
    """Engines, judges and learner ranks of one run. Use as a context: leaving it ends what it started.

    `tell` gets what befalls actors, for telemetry; `notice` sentences for a person; `round` is the first one to come.
    """

    def __init__(
        self, task: Task, tell: Callable[[Telemetry], None], notice: Callable[[str], None], round: int = 0
    ) -> None:
        self.task = task
        self.config: RunConfig = task.config
        self._told = Told(tell, notice)
        self._judge = judge_of(self.config, max(round, 1))
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
        config, rollout = self.config, self.config.rollout
        judges = max(hosting(judge) for judge in (config.judge, *config.later_judges.values()))
        cluster.require_gpus(config.cluster, rollout.replicas, config.learner.ranks, judges)
        engines = start_engines(self.task, rollout.replicas)
        self._rollouts: Fleet[GenerateRequest, ShardRef] = Fleet(
            "generation",
            engines,
            limits_of(config.fleet, rollout.start_timeout_s, rollout.call_timeout_s),
            noun="engine",
            version=str(INITIAL),
            refresh=self._refresh,
            on_event=self._told.fleet,
        )
        self._judges = self._judge_fleet()
        self._scale = Scaling(self.task, self._rollouts, self._judges, self._judge)
        self._rollouts.check()
        # the learners load while the engines sample the initial policy's answers
        self._learners = Learners(self.task, self._told)

    def _judge_fleet(self) -> Fleet[Any, ShardRef]:
        config, judge = self.config, self._judge
        return Fleet(
            "judging",
            start_judges(self.task, judge, judge.replicas),
            limits_of(config.fleet, judge.start_timeout_s, judge.call_timeout_s),
            depends_on=self._rollouts if asks_engines(judge) else None,
            noun="judge",
            on_event=self._told.fleet,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, signal.SIG_IGN) for number in numbers]  # or processes would be left behind
        ray.shutdown()
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

    def park(self) -> None:
        """Within `fleet.grace_s` the learners, if they are learning, finish their step and write a checkpoint."""
        with suppress(InfrastructureFailed):  # they may have been ended by the same signal
            self._learners.group.pause(self.config.fleet.grace_s)

    def meet(self) -> float:
        """See `Fleets`."""
        config, dtype = self.config, self.config.model.dtype
        model_bytes = self._learners.wait_ready()
        refuse_oversized(model_bytes, config.push.max_store_gb)
        pool_T = [prompt.tokens_T for prompt in self.task.pool.test]
        length = min(PROBE_TOKENS, config.rollout.max_context - 1)
        self._texts_T = fixed_texts(pool_T, config.push.probe_texts, length)
        self._reading: Reading = self._learners.read_probe(self._texts_T)
        self._rollouts.check()
        tolerance = config.push.tolerance if dtype is DType.float32 else float("inf")
        gap, silent = self._probe(self._rollouts.alive(), self._reading, None, tolerance)
        self._rollouts.pushed(str(INITIAL), silent)
        self._tolerance = allowed_gap(dtype.value, gap, config.push.tolerance)
        self._gap = gap
        return gap

    def restore(self) -> Restored:
        """See `Fleets`."""
        return self._learners.restore()

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[ShardRef]:
        """See `Fleets`."""
        return self._scaling(self._rollouts.map(lambda engine, request: engine.generate.remote(request), requests))

    def appoint(self, round: int) -> None:
        """See `Fleets`."""
        judge = judge_of(self.config, max(round, 1))
        if judge is self._judge:
            return
        for handle in self._judges.handles:
            self._judges.remove(handle)
        self._judge = judge
        self._judges = self._judge_fleet()
        self._scale = Scaling(self.task, self._rollouts, self._judges, judge)

    def check(self, round: int) -> ShardRef:
        """See `Fleets`."""
        prompts = [prompt for source in self.task.pool.train.values() for prompt in source]
        pairs = tuple(pairs_for(self._judge.check, prompts, self.config.seed))
        request = CheckRequest(round, str(self._version), pairs)
        engines = self._rollouts.serving
        (ref,) = self._judges.map(lambda judge, one: judge.check.remote(one, engines()), [request])
        return ref

    def judge(self, responses: Iterable[ShardRef], evaluation: bool = False) -> Iterator[ShardRef]:
        """See `Fleets`."""
        yield from self._scaling(
            self._judges.map(
                lambda judge, ref: judge.judge.remote(ref, evaluation, self._rollouts.serving()), responses
            )
        )
        if not evaluation:
            self._tell_usage()

    def aggregate(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """See `Fleets`. This and pairing take milliseconds: judges do them, without processes of their own."""
        return self._judges.map(lambda judge, one: judge.aggregate.remote(one.responses, one.said), judged)

    def pair(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """See `Fleets`."""
        return self._judges.map(lambda judge, one: judge.pair.remote(one.responses, one.said), judged)

    def _tell_usage(self) -> None:
        """What judging has cost so far, by replica: telemetry, so that a replica which does not answer is left out."""
        asked = {judge.usage.remote(): number for number, judge in enumerate(self._judges.serving())}
        for reference in ray.wait(list(asked), num_returns=len(asked), timeout=USAGE_TIMEOUT_S)[0]:
            with suppress(ray.exceptions.RayError):
                if usage := ray.get(reference):
                    self._told.usage(f"judging-{asked[reference]}", usage)

    def anchor(self, lesson: Lesson) -> Iterable[ShardRef]:
        """See `Fleets`. The sampler's own log-probs serve for the round's responses where the anchor is the policy that
        sampled them and engines and learners were measured to agree."""
        recipe, shards = self.config.algorithm, list[ShardRef]()
        examples = examples_of(lesson, recipe, self.task.identity) if lesson.serving else []
        kinds = {
            label: kind
            for (kind, _), one in zip(anchors_of(recipe), lesson.serving, strict=True)
            for label in one.labels
        }
        for label, kind in kinds.items():
            served = lesson.round if self._sampler_serves(label) else None
            ids = {one for example in examples if example.round != served for one in example.response_ids}
            if ids:
                request = self._request("anchors", lesson.round, kind, label, lesson.weights[label])
                request = replace(request, shard=len(shards), known=tuple(lesson.known))
                shards += self._learners.log_probs(lesson.responses, sorted(ids), request)
        return shards

    def initial_log_probs(self, round: int, responses: Sequence[ShardRef]) -> Iterable[ShardRef]:
        """See `Fleets`."""
        digest = self.task.model_digest
        request = self._request("evaluation_anchors", round, "initial", str(INITIAL), digest)
        return self._learners.log_probs(responses, None, request)

    def learn(self, lesson: Lesson) -> LearnReport:
        """See `Fleets`."""
        self._learners.resize(self._scale.ranks())
        return self._learners.learn(lesson)

    def rollback(self, version: PolicyVersion) -> None:
        """See `Fleets`."""
        self._learners.rollback(version.round)

    def holds(self) -> PolicyVersion:
        """See `Fleets`."""
        return self._version

    def push(self, version: PolicyVersion) -> Pushed:
        """See `Fleets`."""
        return self._learners.together(lambda: self._push(version))

    def export(self, version: PolicyVersion, folder: Path) -> None:
        """See `Fleets`."""
        self._learners.export(str(folder), model_card(self.task, version))

    def _push(self, version: PolicyVersion) -> Pushed:
        """Into all engines that live; those that die of it are brought the version when they are back."""
        timeout_s = self.config.rollout.call_timeout_s
        for attempt in count(1):
            self._rollouts.check(refresh=False)
            engines = self._rollouts.alive()
            stream = self._learners.group.weight_stream(str(version))
            try:
                manifest, dead = push_weights(stream, engines, str(version), self._manifest, timeout_s)
                reading = self._learners.group.read_probe(self._texts_T)
                left = [engine for engine in engines if engine not in dead]
                gap, silent = self._probe(left, reading, self._reading, self._tolerance)
            except EnginesDied:
                if attempt > self.config.fleet.max_restarts:
                    raise
                continue
            self._manifest, self._reading, self._version = manifest, reading, version
            self._rollouts.pushed(str(version), [*dead, *silent])
            return Pushed(json.dumps(asdict(manifest)), manifest.digest, gap)
        raise AssertionError("the loop above ends only by returning or raising")

    def _refresh(self, engine: Any) -> bool:
        """Bring one engine, which was restarted, the current version; whether it survived that."""
        timeout_s = self.config.rollout.call_timeout_s

        def bring() -> bool:
            stream = self._learners.group.weight_stream(str(self._version))
            if not refresh_engine(stream, engine, str(self._version), timeout_s):
                return False
            _, silent = self._probe([engine], self._reading, None, self._tolerance)
            return not silent

        try:
            return self._learners.together(bring)
        except EnginesDied:
            return False

    def _probe(
        self, engines: Sequence[Any], reading: Reading, previous: Reading | None, tolerance: float
    ) -> tuple[float, list[Any]]:
        """The largest gap between the learners and some engines, and the engines that died of the question."""
        timeout_s = self.config.rollout.call_timeout_s
        reports, silent = probe(engines, self._texts_T, reading, previous, tolerance, timeout_s)
        return max(report.gap for report in reports), silent

    def _scaling(self, results: Iterator[ShardRef]) -> Iterator[ShardRef]:
        """Results as they come, with a look between them at how many actors are wanted."""
        for result in results:
            self._scale.engines_and_judges()
            yield result

    def _sampler_serves(self, label: str) -> bool:
        """Whether the log-probs that came with this round's responses are those of a policy."""
        anchor, tolerance = Resolved((label,), (1.0,)), self.config.push.tolerance
        return sampler_serves(anchor, str(self._version), self._gap, tolerance, self.config.model.dtype)

    def _request(self, table: str, round: int, anchor: str, policy: str, weights: str) -> LogProbsRequest:
        """Log-probs under a version: the learners' present weights, the model that the run began with, or an exported
        checkpoint."""
        model, version = self.config.model, PolicyVersion.parse(policy)
        path, revision = (None, None) if version == self._version else (model.path, model.revision)
        if path is not None and version != INITIAL:
            path, revision = str(self.task.checkpoint(version.round)), None
        return LogProbsRequest(self.task.store, table, round, 0, anchor, policy, weights, path, revision)
