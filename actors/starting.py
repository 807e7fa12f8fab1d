"""The actors that a run starts, from its configuration, and where it is told what befalls them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import ray

from actors import cluster
from actors.engine_settings import EngineSpec
from actors.fleet_events import FleetEvent, unseen
from actors.judge import Bench, JudgeActor
from actors.judges.building import build_all
from actors.learner_contract import LearnerSettings
from actors.learner_group import LearnerGroup
from actors.rollout import RolloutActor
from actors.supervised import RESTARTABLE
from loop.cadence import checkpoint_every
from loop.config import FleetConfig, RunConfig
from loop.fleet_actor import FleetLimits
from loop.judge_config import JudgeConfig
from loop.judges.capabilities import examiner_of, hosting
from loop.pulse import FleetSnapshot
from loop.recipe import learns_to_judge
from loop.records import INITIAL, Telemetry, digest_of
from loop.task import Task


class Told:
    """Passes on what befalls actors: all to telemetry, deaths and returns to a person too, and how fleets are."""

    def __init__(
        self,
        tell: Callable[[Telemetry], None],
        notice: Callable[[str], None],
        show: Callable[[FleetSnapshot], None] = unseen,
    ) -> None:
        self.tell = tell
        self.notice = notice
        self.show = show

    def changed(self, snapshot: FleetSnapshot) -> None:
        """A fleet is like this now."""
        self.show(snapshot)

    def fleet(self, event: FleetEvent) -> None:
        """An event of a fleet."""
        self.tell(
            Telemetry(
                round=0,
                phase=event.actor.rpartition("-")[0],
                event=event.kind,
                at=time.time(),
                seconds=event.seconds,
                actor=event.actor,
                host=event.host,
                pid=event.pid,
                shard=event.shard,
                attempt=event.attempt,
                detail=event.detail,
            )
        )
        if event.kind == "died":
            self.notice(f"{event.actor} (process {event.pid}) died: {event.detail}; its work is given out again.")
        elif event.kind == "restarted":
            self.notice(f"{event.actor} is back as process {event.pid} after {event.seconds:.0f} s.")

    def usage(self, actor: str, usage: dict[str, float]) -> None:
        """What an actor's work has cost since it began."""
        self.tell(Telemetry(0, "judge", "usage", time.time(), actor=actor, detail=json.dumps(usage, sort_keys=True)))

    def learners(self, event: str, detail: str, seconds: float | None = None) -> None:
        """An event of the learner group."""
        self.tell(Telemetry(0, "learn", event, time.time(), seconds, actor="learners", detail=detail))


def limits_of(fleet: FleetConfig, start_timeout_s: float, call_timeout_s: float) -> FleetLimits:
    """A fleet's limits from the configuration."""
    return FleetLimits(
        max_restarts=fleet.max_restarts,
        straggler_s=fleet.straggler_s,
        call_timeout_s=call_timeout_s,
        start_timeout_s=start_timeout_s,
    )


def engine_spec(config: RunConfig) -> EngineSpec:
    """The engines of a run."""
    rollout = config.rollout
    return EngineSpec(
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


def start_engines(task: Task, number: int) -> list[Any]:
    """Some engines, each with the initial policy."""
    config, rollout = task.config, task.config.rollout
    # at the start the learner ranks load beside them
    threads = cluster.threads(config.cluster, rollout.replicas + config.learner.ranks)
    options = cluster.options(config.cluster, threads, config.cluster.gpus_per_rollout)
    actor = ray.remote(RolloutActor).options(**options, **RESTARTABLE)
    return [actor.remote(engine_spec(config), threads, str(INITIAL)) for _ in range(number)]


def bench_of(task: Task, judge: JudgeConfig) -> Bench:
    """What the replicas of a judge work with."""
    config = task.config
    recipe, rollout = config.algorithm, config.rollout
    made_of = (judge, examiner_of(config), config.model, rollout.max_context, rollout.call_timeout_s)
    parts = repr((*made_of, learns_to_judge(recipe, 1)))
    build = partial(build_all, config, judge)
    return Bench(task.store, task.prompts_path, recipe, build, digest_of(parts))


def start_judges(task: Task, judge: JudgeConfig, number: int) -> list[Any]:
    """Some replicas of a judge, each with the judge of evaluation beside it."""
    config = task.config
    threads = cluster.threads(config.cluster, judge.replicas)
    options = cluster.options(config.cluster, threads, config.cluster.gpus_per_judge if hosting(judge, config) else 0.0)
    actor = ray.remote(JudgeActor).options(**options, **RESTARTABLE)
    return [actor.remote(*bench_of(task, judge)) for _ in range(number)]


def learner_settings(task: Task, ranks: int) -> LearnerSettings:
    """What the learner ranks of a run go by."""
    config = task.config
    return LearnerSettings(
        model=config.model,
        learner=replace(config.learner, ranks=ranks),
        algorithm=config.algorithm,
        checkpoint=replace(config.checkpoint, every=checkpoint_every(config)),
        checkpoints=str(task.learner_checkpoints),
        identity=task.identity,
    )


def start_learners(task: Task, ranks: int) -> LearnerGroup:
    """The ranks, which load the initial policy."""
    config = task.config
    settings, threads = learner_settings(task, ranks), cluster.threads(config.cluster, ranks)
    return LearnerGroup(settings, threads, cluster.options(config.cluster, threads, config.cluster.gpus_per_learner))
