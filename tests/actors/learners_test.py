"""The learner group under supervision, with ranks that only note what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors import learners as module
from actors.learners import Learners
from loop.composition import compose
from loop.errors import InfrastructureFailed, ProcessDied
from loop.fleets import Lesson
from loop.learning import LearnReport, Restored
from loop.prompts.pool import PoolCounts, PromptPool
from loop.task import Task

LESSONS = [Lesson(number, [], [], []) for number in range(4)]


class Group:
    """Ranks of which one dies in the next call, as often as `deaths` says; they hold a checkpoint of round 1."""

    ranks = 2

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.deaths = 0

    def _ask(self, what: str, answer: Any) -> Any:
        self.asked.append(what)
        if self.deaths:
            self.deaths -= 1
            raise ProcessDied(f"{what}: a rank died")
        return answer

    def wait_ready(self, timeout_s: float) -> int:
        return self._ask("wait_ready", 1000)

    def restart(self) -> int:
        self.asked.append("restart")
        return 1000

    def restore(self) -> Restored:
        return self._ask("restore", Restored(1, True, ()))

    def learn(self, round: int, *arguments: Any) -> LearnReport:
        return self._ask(f"learn {round}", LearnReport(steps=round))

    def read_probe(self, texts_T: Any) -> str:
        return self._ask("read_probe", "reading")


class Told:
    def __init__(self) -> None:
        self.events: list[str] = []

    def learners(self, event: str, detail: str, seconds: float | None = None) -> None:
        self.events.append(event)

    def notice(self, sentence: str) -> None:
        pass


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Learners, Group, Told]]:
    def start(*overrides: str) -> tuple[Learners, Group, Told]:
        group, told = Group(), Told()
        monkeypatch.setattr(module, "start_learners", lambda task, ranks: group)
        pool = PromptPool({}, {}, [], [], PoolCounts(0, 0, 0, 0, 0, 0, 0))
        task = Task(compose(["experiment=demo", *overrides]), "identity", tmp_path, pool, "model")
        return Learners(task, told), group, told  # type: ignore[arg-type]

    return start


Started = Callable[..., tuple[Learners, Group, Told]]


def test_ranks_that_die_before_anything_was_restored_come_back_at_the_initial_policy(started: Started) -> None:
    """The engines are met on it: a checkpoint taken up then would look like a failed push."""
    learners, group, told = started()
    group.deaths = 1
    assert learners.wait_ready() == 1000
    group.deaths = 1
    assert learners.read_probe([]) == "reading"
    assert "restore" not in group.asked
    assert told.events == ["died", "restarted"] * 2


def test_after_a_restore_ranks_come_back_at_their_checkpoint(started: Started) -> None:
    learners, group, _ = started()
    learners.restore()
    group.deaths, group.asked = 1, []
    learners.read_probe([])
    assert group.asked == ["read_probe", "restart", "restore", "read_probe"]


def test_ranks_that_die_in_their_first_lesson_go_on_from_its_checkpoint(started: Started) -> None:
    learners, group, _ = started()
    group.deaths = 1
    assert learners.learn(LESSONS[1]).steps == 1
    assert group.asked == ["learn 1", "restart", "restore", "learn 1"]


def test_what_came_after_the_checkpoint_is_learnt_again(started: Started) -> None:
    learners, group, _ = started("checkpoint.every=3", "rounds=9")
    for number in (1, 2):
        learners.learn(LESSONS[number])
    group.deaths, group.asked = 1, []
    learners.read_probe([])
    assert group.asked == ["read_probe", "restart", "restore", "learn 2", "read_probe"]


def test_ranks_that_die_too_often_end_the_run(started: Started) -> None:
    learners, group, told = started("fleet.max_restarts=2")
    group.deaths = 3
    with pytest.raises(InfrastructureFailed, match="failed 3 times, last because wait_ready: a rank died"):
        learners.wait_ready()
    assert told.events.count("died") == 3
