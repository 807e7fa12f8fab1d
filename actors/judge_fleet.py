"""The judges of a run as a fleet whose actors can be set to work for another run."""

from __future__ import annotations

from typing import Any

import ray

from actors.calls import wait
from actors.fleet import Fleet
from actors.starting import Told, bench_of, limits_of, start_judges
from loop.errors import ProcessDied, TimedOut
from loop.judge_config import JudgeConfig
from loop.judges.capabilities import asks_engines, hosting
from loop.records import ShardRef
from loop.task import Task

Judges = Fleet[Any, ShardRef]


def judge_fleet(
    task: Task, judge: JudgeConfig, engines: Fleet[Any, Any], told: Told, handles: list[Any] | None = None
) -> Judges:
    """A judge's replicas, new ones unless there are some. Their version is what they work with, so that one that Ray
    restarts as it first was is told what it is for now before it is given work."""
    bench = bench_of(task, judge)

    def begin(handle: Any) -> bool:
        try:
            wait([handle.begin.remote(*bench)], judge.start_timeout_s, "a judge")
        except (ProcessDied, TimedOut):
            return False
        return True

    return Fleet(
        "judging",
        start_judges(task, judge, judge.replicas) if handles is None else handles,
        limits_of(task.config.fleet, judge.start_timeout_s, judge.call_timeout_s),
        depends_on=engines if asks_engines(judge) else None,
        noun="judge",
        version=bench.label,
        refresh=begin,
        on_event=told.fleet,
        on_change=told.changed,
    )


def taken_over(
    judges: Judges, held: tuple[Task, JudgeConfig], task: Task, judge: JudgeConfig, engines: Fleet[Any, Any], told: Told
) -> Judges:
    """The judges of another run in the processes that are there. A model that one hosts cannot be taken out of its
    process: where the judge is another one, processes with models end."""
    bench, before, handles = bench_of(task, judge), bench_of(*held), judges.handles
    stay = judge.replicas
    if bench.made_of != before.made_of and (hosting(judge, task.config) or hosting(held[1], held[0].config)):
        stay = 0
    for handle in handles[stay:]:
        ray.kill(handle)
    left = handles[:stay]
    for handle in left:
        handle.begin.remote(*bench)  # all at once; the fleet asks them afterwards what came of it
    return judge_fleet(task, judge, engines, told, [*left, *start_judges(task, judge, judge.replicas - len(left))])
