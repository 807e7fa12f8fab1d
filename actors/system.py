"""The fleets of a run, as Ray actors: what `loop.fleets.Fleets` promises, done for real."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import ray

from actors import cluster
from actors.adopting import refuse_other_actors
from actors.fleet import Fleet
from actors.fleet_events import unseen
from actors.judge import CheckRequest
from actors.judge_fleet import judge_fleet, taken_over
from actors.learner_contract import LogProbsRequest
from actors.learners import Learners
from actors.scaling import Scaling
from actors.serving import Serving
from actors.starting import Told, limits_of, start_engines
from loop.anchors import Resolved, sampler_serves
from loop.config import RunConfig
from loop.errors import InfrastructureFailed
from loop.evaluation.splits import EXAMINED, ContestTable
from loop.fleets import NOTHING_SAID, Contest, Judged, JudgementTable, Lesson, MetaRequest, Pushed
from loop.judge_schedule import judge_of
from loop.judges.calibration import pairs_for
from loop.judges.capabilities import hosting
from loop.learning import LearnReport, Restored
from loop.lessons import examples_of
from loop.model_card import model_card
from loop.pulse import FleetSnapshot
from loop.recipe import anchors_of, samples_alone
from loop.records import INITIAL, PolicyVersion, ShardRef, Telemetry
from loop.sampling import GenerateRequest
from loop.task import Task

USAGE_TIMEOUT_S = 10.0


class System:
    """Engines, judges and learner ranks of a run, and of others after it. Use as a context: leaving it ends what it
    started.

    `tell` gets what befalls actors, for telemetry; `notice` sentences for a person; `show` how fleets are; `round` is
    the first one to come.
    """

    def __init__(
        self,
        task: Task,
        tell: Callable[[Telemetry], None],
        notice: Callable[[str], None],
        round: int = 0,
        show: Callable[[FleetSnapshot], None] = unseen,
    ) -> None:
        self.task = task
        self.config: RunConfig = task.config
        self._told = Told(tell, notice, show)
        self._judge = judge_of(self.config, max(round, 1))

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
        config = self.config
        self._require_gpus()
        self._rollouts = self._engine_fleet(start_engines(self.task, config.rollout.replicas))
        self._judges = judge_fleet(self.task, self._judge, self._rollouts, self._told)
        self._scale = Scaling(self.task, self._rollouts, self._judges, self._judge)
        self._rollouts.check()
        # the learners load while the engines sample the initial policy's answers
        self._learners = Learners(self.task, self._told)
        self._serving = Serving(self.task, self._rollouts, self._learners)

    def _require_gpus(self) -> None:
        config = self.config
        judges = max(hosting(judge, config) for judge in (config.judge, *config.later_judges.values()))
        cluster.require_gpus(config.cluster, config.rollout.replicas, config.learner.ranks, judges)

    def _engine_fleet(self, engines: Sequence[Any]) -> Fleet[GenerateRequest, ShardRef]:
        config, rollout = self.config, self.config.rollout
        return Fleet(
            "generation",
            engines,
            limits_of(config.fleet, rollout.start_timeout_s, rollout.call_timeout_s),
            noun="engine",
            version=str(INITIAL),
            refresh=lambda engine: self._serving.refresh(engine),
            on_event=self._told.fleet,
            on_change=self._told.changed,
        )

    def require_fit(self, task: Task) -> None:
        """Raises: Refused when a run needs other engines or learner ranks than those that are there."""
        refuse_other_actors(self.task, task)

    def adopt(
        self,
        task: Task,
        tell: Callable[[Telemetry], None],
        notice: Callable[[str], None],
        round: int = 0,
        show: Callable[[FleetSnapshot], None] = unseen,
    ) -> System:
        """Serve another run from now on, with the same processes, as a new system would: engines and learners hold the
        initial policy, and nothing is left of the run before. Raises: Refused when the run needs other processes."""
        self.require_fit(task)
        held = self.task, self._judge
        self.task, self.config = task, task.config
        self._told.tell, self._told.notice, self._told.show = tell, notice, show
        self._require_gpus()
        self._judge = judge_of(self.config, max(round, 1))
        self._rollouts = self._engine_fleet(self._rollouts.handles)
        self._judges = taken_over(self._judges, held, task, self._judge, self._rollouts, self._told)
        self._scale = Scaling(task, self._rollouts, self._judges, self._judge)
        self._learners.begin(task)
        self._serving = self._serving.of_another(task, self._rollouts)
        return self

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
        return self._serving.meet()

    def restore(self) -> Restored:
        """See `Fleets`."""
        restored = self._learners.restore()
        self._serving.restored(restored)
        return restored

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
        self._judges = judge_fleet(self.task, judge, self._rollouts, self._told)
        self._scale = Scaling(self.task, self._rollouts, self._judges, judge)

    def check(self, round: int) -> ShardRef:
        """See `Fleets`."""
        prompts = [prompt for source in self.task.pool.train.values() for prompt in source]
        pairs = tuple(pairs_for(self._judge.check, prompts, self.config.seed))
        request = CheckRequest(round, str(self.holds()), pairs)
        engines = self._rollouts.serving
        (ref,) = self._judges.map(lambda judge, one: judge.check.remote(one, engines()), [request])
        return ref

    def judge(
        self,
        responses: Iterable[ShardRef],
        policy: PolicyVersion,
        table: JudgementTable = "judgements",
        said: Mapping[int, Sequence[ShardRef]] = NOTHING_SAID,
    ) -> Iterator[ShardRef]:
        """See `Fleets`."""
        engines = self._rollouts.serving
        yield from self._scaling(
            self._judges.map(
                lambda judge, ref: judge.judge.remote(ref, table, str(policy), engines(), said.get(ref.shard, ())),
                responses,
            )
        )
        if table not in EXAMINED:
            self._tell_usage()

    def compare(self, contests: Iterable[Contest], policy: PolicyVersion, table: ContestTable) -> Iterator[ShardRef]:
        """See `Fleets`."""
        yield from self._judges.map(lambda judge, one: judge.compare.remote(one, table, str(policy)), contests)

    def aggregate(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """See `Fleets`. This and pairing take milliseconds: judges do them, without processes of their own."""
        return self._judges.map(lambda judge, one: judge.aggregate.remote(one.responses, one.said), judged)

    def pair(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        """See `Fleets`."""
        return self._judges.map(lambda judge, one: judge.pair.remote(one.responses, one.said), judged)

    def meta(self, requests: Iterable[MetaRequest], policy: PolicyVersion) -> Iterator[ShardRef]:
        """See `Fleets`."""
        engines = self._rollouts.serving
        return self._judges.map(lambda judge, one: judge.meta.remote(one, str(policy), engines()), requests)

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
            own = self._sampler_serves(label, lesson.policy)
            served = lesson.round if own and samples_alone(recipe) else None
            ids = {one for example in examples if example.round != served for one in example.response_ids}
            if ids:
                request = self._request("anchors", lesson.round, kind, label, lesson.weights[label])
                request = replace(request, shard=len(shards), known=tuple(lesson.known), own=own)
                shards += self._learners.log_probs(lesson.responses, sorted(ids), request)
        return shards

    def log_probs(
        self, table: str, round: int, responses: Sequence[ShardRef], version: PolicyVersion
    ) -> Iterable[ShardRef]:
        """See `Fleets`."""
        kind = "initial" if version == INITIAL else "policy"
        request = self._request(table, round, kind, str(version), self._serving.digest_of(version))
        return self._learners.log_probs(responses, None, request)

    def learn(self, lesson: Lesson) -> LearnReport:
        """See `Fleets`."""
        self._learners.resize(self._scale.ranks())
        report = self._learners.learn(lesson)
        self._serving.learnt(lesson, report)
        return report

    def rollback(self, version: PolicyVersion) -> None:
        """See `Fleets`."""
        self._learners.rollback(version.round)
        self._serving.present = version

    def holds(self) -> PolicyVersion:
        """See `Fleets`."""
        return self._serving.served

    def serve(self, version: PolicyVersion) -> None:
        """See `Fleets`."""
        self._serving.serve(version)

    def push(self, version: PolicyVersion) -> Pushed:
        """See `Fleets`."""
        return self._serving.push(version)

    def diagnose(self, lesson: Lesson, answers: Sequence[ShardRef], most: int) -> dict[str, float]:
        """See `Fleets`."""
        return self._learners.diagnose(lesson, answers, most)

    def export(self, version: PolicyVersion, folder: Path) -> None:
        """See `Fleets`."""
        self._learners.export(str(folder), model_card(self.task, version))

    def _scaling(self, results: Iterator[ShardRef]) -> Iterator[ShardRef]:
        """Results as they come, with a look between them at how many actors are wanted."""
        for result in results:
            self._scale.engines_and_judges()
            yield result

    def _sampler_serves(self, label: str, sampler: PolicyVersion) -> bool:
        """Whether the log-probs that came with this round's responses are those of a policy."""
        anchor, tolerance = Resolved((label,), (1.0,)), self.config.push.tolerance
        return sampler_serves(anchor, str(sampler), self._serving.gap, tolerance, self.config.model.dtype)

    def _request(self, table: str, round: int, anchor: str, policy: str, weights: str) -> LogProbsRequest:
        """Log-probs under a version, wherever its weights lie."""
        frozen = self._serving.source_of(PolicyVersion.parse(policy))
        return LogProbsRequest(self.task.store, table, round, 0, anchor, policy, weights, frozen)
