"""Which lessons are learnt again when ranks die: with a group that only remembers what it was taught."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors import learners
from actors.learner_contract import LearnerSettings
from actors.learners import Learners
from loop.composition import compose
from loop.errors import InfrastructureFailed, ProcessDied
from loop.fleets import Lesson
from loop.learning import LearnReport, Restored


class Group:
    """Ranks whose weights are the list of rounds that they learnt; checkpoints are copies of it."""

    ranks = 2

    def __init__(self, every: int) -> None:
        self.every = every
        self.weights: list[int] = []
        self.saved: list[list[int]] = []
        self.dies = False

    def learn(self, lesson: Lesson, *rest: Any) -> LearnReport:
        round = lesson.round
        if self.dies:
            self.dies = False
            raise ProcessDied("rank 1 died")
        self.weights = [*self.weights, round]
        if round % self.every == 0:
            self.saved = [*self.saved, self.weights]
        return LearnReport(steps=1)

    def restart(self) -> None:
        self.weights = []

    def restore(self) -> Restored:
        self.weights = self.saved[-1] if self.saved else []
        return Restored(self.weights[-1] if self.weights else 0, True, ())


def taught(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> tuple[Learners, Group]:
    config = compose(["experiment=demo", "gate=off", "rounds=9", *overrides])
    group = Group(config.checkpoint.every)
    monkeypatch.setattr(learners, "start_learners", lambda task, ranks: group)
    told = SimpleNamespace(learners=lambda *_: None, notice=lambda _: None, changed=lambda _: None)
    task = SimpleNamespace(config=config, identity="i")
    return Learners(task, told), group  # type: ignore[arg-type]


def lesson(round: int) -> Lesson:
    return Lesson(round, [], [], [])


@pytest.mark.parametrize("every", [1, 2, 3])
def test_every_round_is_learnt_once_whenever_a_rank_dies(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    for dies_in in range(1, 7):
        ranks, group = taught(monkeypatch, f"checkpoint.every={every}")
        for round in range(1, 7):
            group.dies = round == dies_in
            ranks.learn(lesson(round))
        assert group.weights == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_that_is_passed_over_leaves_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks, group = taught(monkeypatch, "checkpoint.keep=2")
    for round in (1, 2, 3):
        ranks.learn(lesson(round))
    group.saved.pop()
    group.dies = True
    ranks.learn(lesson(4))
    assert group.weights == [1, 2, 3, 4]


def test_without_the_lessons_in_between_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks, group = taught(monkeypatch, "checkpoint.keep=2")
    for round in (1, 2, 3):
        ranks.learn(lesson(round))
    group.saved = group.saved[:1]
    group.dies = True
    with pytest.raises(InfrastructureFailed, match="reach to round 1 only"):
        ranks.learn(lesson(4))


def test_after_a_restart_it_knows_only_what_came_since(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks, group = taught(monkeypatch)
    group.saved = [[1], [1, 2]]
    assert ranks.restore().round == 2
    group.saved.pop()
    group.dies = True
    with pytest.raises(InfrastructureFailed, match="reach to round 1 only"):
        ranks.learn(lesson(3))


def test_ranks_that_die_before_they_moved_begin_at_the_initial_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks, group = taught(monkeypatch)
    group.saved = [[1]]
    deaths = iter([True, False])

    def ready(timeout_s: float) -> int:
        if next(deaths):
            raise ProcessDied("rank 0 died")
        return 7

    group.wait_ready = ready  # type: ignore[attr-defined]
    assert ranks.wait_ready() == 7 and group.weights == [], "engines are met with the initial policy"


def test_it_gives_up_after_the_restarts_that_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks, group = taught(monkeypatch, "fleet.max_restarts=1")

    def always(*_: Any) -> LearnReport:
        raise ProcessDied("rank 1 died")

    monkeypatch.setattr(group, "learn", always)
    with pytest.raises(InfrastructureFailed, match="failed 2 times, last because rank 1 died"):
        ranks.learn(lesson(1))


def test_ranks_that_die_after_they_went_back_are_back_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks, group = taught(monkeypatch)

    def rollback(round: int, carry_optimizer: bool) -> None:
        group.weights = next(([*saved] for saved in group.saved if saved[-1] == round), [])

    group.rollback = rollback  # type: ignore[attr-defined]
    for round in (1, 2, 3):
        ranks.learn(lesson(round))
    ranks.rollback(2)
    deaths = iter([True, False])

    def read() -> list[int]:
        if next(deaths):
            raise ProcessDied("rank 0 died")
        return group.weights

    assert ranks.together(read) == [1, 2]
    ranks.learn(lesson(3))
    group.dies = True
    ranks.learn(lesson(4))
    assert group.weights == [1, 2, 3, 4]


def test_ranks_that_go_over_to_another_run_forget_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks, group = taught(monkeypatch, "fleet.max_restarts=1")
    begun: list[LearnerSettings] = []

    def begin(settings: LearnerSettings) -> None:
        begun.append(settings)
        group.weights, group.saved = [], []

    group.begin = begin  # type: ignore[attr-defined]
    group.dies = True
    for round in (1, 2):
        ranks.learn(lesson(round))
    config = compose(["experiment=demo", "gate=off", "rounds=5", "learner.lr=0.5", "fleet.max_restarts=1"])
    other = SimpleNamespace(config=config, identity="other", learner_checkpoints="elsewhere")
    ranks.begin(other)  # type: ignore[arg-type]
    ((lr, number, identity, folder),) = [(s.learner.lr, s.learner.ranks, s.identity, s.checkpoints) for s in begun]
    assert (lr, number, identity, folder) == (0.5, 2, "other", "elsewhere")
    group.dies = True
    ranks.learn(lesson(1))
    assert group.weights == [1], "neither lessons nor deaths are counted on"
