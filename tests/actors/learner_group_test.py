"""A learner group whose ranks die, hang or are paused, in real DeepSpeed processes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch

from actors.learner import LearnerActor
from actors.learner_group import LearnerGroup
from loop import crash
from loop.checkpoints import find, names
from loop.errors import ProcessDied
from loop.learning import LearnReport, Restored
from tests.actors.learner_kit import (
    Call,
    Data,
    inside,
    lesson,
    running,
    running_ray,
    save_small_model,
    timeless,
    write_data,
)
from tests.actors.learner_states import ROUNDS, assert_same, state, undisturbed, wanted

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_small_model(str(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return write_data(str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with running_ray():
        yield


def test_a_group_pauses_while_it_learns(cluster: None, data: Data, model_path: str, tmp_path: Path) -> None:
    reports: list[LearnReport] = []
    arguments = (lesson(Call(data.example_refs, data.response_refs)), 1, 3)
    with running(wanted(model_path, tmp_path, steps=2, ranks=1, epochs=400)) as group:
        assert group.pause(1) is None
        learning = threading.Thread(target=lambda: reports.append(group.learn(*arguments)))
        learning.start()
        deadline = time.monotonic() + 60
        while not names(tmp_path) and time.monotonic() < deadline:  # it is under way once it has written a checkpoint
            time.sleep(0.05)
        paused = group.pause(60)
        learning.join()
        assert paused is not None
        assert paused.paused
        assert 0 < paused.steps < 800
        assert reports == [paused]
        assert group.restore() == Restored(1, False, ())
    (marker,) = find(tmp_path)
    assert (marker.progress.position, marker.progress.steps) == (paused.steps, 800)


def test_killed_and_hanging_ranks_are_survived(cluster: None, data: Data, model_path: str, tmp_path: Path) -> None:
    """One rank is killed inside a phase, while a checkpoint is written; in the next round one is stopped."""
    plan = tmp_path / "plan"
    plan.write_text(json.dumps({"id": "kill", "point": "checkpoint/parts", "hit": 3}))
    store = tmp_path / "store"
    chosen = wanted(model_path, store, steps=1, ranks=2)
    options = {"num_cpus": 0, "runtime_env": {"env_vars": {crash.PLAN: str(plan)}}}

    def round_of(group: LearnerGroup, number: int) -> LearnReport:
        report = group.learn(lesson(Call(data.example_refs, data.response_refs), number), ROUNDS, 3)
        return timeless(report)

    with running(chosen, options) as group:
        with pytest.raises(ProcessDied, match="the learners' learn"):
            round_of(group, 1)
        group.restart()
        assert group.restore() == Restored(1, False, ())
        assert names(store) == ["round-000001-step-000002"]
        first = round_of(group, 1)
        inside(group, shorten_patience)
        pid = group.pids()[1]
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ProcessDied, match="rank 1 hangs"):
            round_of(group, 2)
        group.restart()
        assert pid not in group.pids()
        assert group.restore() == Restored(1, True, ())
        second = round_of(group, 2)
        ends = inside(group, lambda learner: state(learner))
        expected = undisturbed(group, data, wanted(model_path, tmp_path / "undisturbed", ranks=2))
    assert first == expected[0][0].report
    assert_same([dataclasses.replace(end, report=second) for end in ends], expected[1])


def shorten_patience(learner: LearnerActor) -> None:
    """Every group of ranks waits as long as configured; make that four seconds."""
    from datetime import timedelta

    c10d = torch.distributed.distributed_c10d
    for group in c10d._world.pg_map:
        options = group._get_backend(torch.device("cpu")).options
        assert options._timeout == timedelta(seconds=learner.settings.learner.collective_timeout_s)
        c10d._set_pg_timeout(timedelta(seconds=4), group)
