"""Judges that go over to another run: those that stay, those that are built anew, and those that Ray restarts as they
first were."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import ray

from actors.judge import CheckRequest, JudgeActor
from actors.judge_fleet import Judges, judge_fleet, taken_over
from actors.starting import Told
from loop.composition import compose
from loop.judges.calibration import pairs_for
from loop.records import CheckRow
from loop.shards import read_shard
from loop.task import Task
from loop.validation import validate

TOLD = Told(lambda _: None, lambda _: None)


def task(folder: Path, *overrides: str) -> Task:
    config = validate(compose(["experiment=demo", "learner.ranks=1", *overrides]))
    return Task(config, "identity", folder, cast(Any, None), "model", prompts_path="unread")


def test_judges_are_built_anew_only_where_they_would_be_others() -> None:
    recipe, built = cast(Any, None), list[str]()

    def build(name: str) -> Any:
        return lambda engines: (built.append(name), name, None)

    actor = JudgeActor("store", "prompts", recipe, build("first"), "alike")
    labels = [actor.version()]
    for store, name, made_of in (("other", "again", "alike"), ("other", "second", "another")):
        actor.begin(store, "prompts", recipe, build(name), made_of)
        labels.append(actor.version())
        assert actor.store == "other"
    assert built == ["first", "second"] and actor.evaluation_judge == "second"
    assert len({*labels}) == 3

    def fails(engines: object) -> Any:
        raise RuntimeError("no such judge")

    with pytest.raises(RuntimeError):
        actor.begin("third", "prompts", recipe, fails, "unbuildable")
    assert (actor.version(), actor.store) == (labels[-1], "other"), "it still is what it says"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100_000_000,
    )
    yield
    ray.shutdown()


def checked(judges: Judges, task: Task) -> tuple[Path, str]:
    """Where a judge has written its check, and which one it is."""
    pairs = tuple(pairs_for(task.config.judge.check, (), 0))
    request = CheckRequest(1, "r0-s0", pairs)
    (ref,) = judges.map(lambda judge, one: judge.check.remote(one), [request])
    return Path(ref.path), read_shard(ref, CheckRow)[0].judge


@pytest.mark.engine
def test_a_judge_that_died_after_it_went_over_works_for_its_new_run(cluster: None, tmp_path: Path) -> None:
    first, second = task(tmp_path / "a"), task(tmp_path / "b", "judge.rule=normalised")
    engines: Any = None
    judges = judge_fleet(first, first.config.judge, engines, TOLD)
    path, name = checked(judges, first)
    assert path.is_relative_to(tmp_path / "a")
    judges = taken_over(judges, (first, first.config.judge), second, second.config.judge, engines, TOLD)
    path, other = checked(judges, second)
    assert path.is_relative_to(tmp_path / "b") and other != name
    for handle in judges.handles:
        os.kill(ray.get(handle.__ray_call__.remote(pid_of)), signal.SIGKILL)
    path.unlink()
    assert checked(judges, second) == (path, other) and path.exists()


@pytest.mark.engine
def test_there_are_as_many_replicas_as_the_new_run_wants(cluster: None, tmp_path: Path) -> None:
    first, second = task(tmp_path / "a", "judge.replicas=2"), task(tmp_path / "b")
    engines: Any = None
    judges = judge_fleet(first, first.config.judge, engines, TOLD)
    judges.check()
    two = judges.handles
    judges = taken_over(judges, (first, first.config.judge), second, second.config.judge, engines, TOLD)
    assert judges.handles == two[:1]
    judges = taken_over(judges, (second, second.config.judge), first, first.config.judge, engines, TOLD)
    judges.check()
    assert len(judges.handles) == 2 and judges.handles[0] == two[0]


def pid_of(actor: Any) -> int:
    return os.getpid()
