"""More or fewer actors while a run goes on, as `ratchet scale` asks."""

from __future__ import annotations

from typing import Any

from actors.fleet import Fleet
from actors.starting import start_engines, start_judges
from loop.judge_config import JudgeConfig
from loop.scale import asked
from loop.task import Task


class Scaling:
    """Keeps fleets at the numbers asked for; a run begins with those of its configuration."""

    def __init__(self, task: Task, rollouts: Fleet[Any, Any], judges: Fleet[Any, Any], judge: JudgeConfig) -> None:
        self.task = task
        self._judge = judge
        self._rollouts = rollouts
        self._judges = judges
        self._engines = list(rollouts.handles)
        self._replicas = list(judges.handles)

    def engines_and_judges(self) -> None:
        """Start or remove actors. A new engine works once it holds the current version; one that is not wanted any
        more finishes what it has."""
        wanted = asked(self.task.folder)
        for fleet, held, key in (
            (self._rollouts, self._engines, "rollout.replicas"),
            (self._judges, self._replicas, "judge.replicas"),
        ):
            held[:] = [actor for actor in held if actor in fleet.handles]  # without those that are lost for good
            number = wanted.get(key, len(held))
            while len(held) > number:
                fleet.remove(held.pop())
            for actor in self._start(key, number - len(held)):
                held.append(actor)
                fleet.add(actor)

    def ranks(self) -> int:
        """How many learner ranks there should be."""
        return asked(self.task.folder).get("learner.ranks", self.task.config.learner.ranks)

    def _start(self, key: str, number: int) -> list[Any]:
        if number <= 0:
            return []
        if key == "rollout.replicas":
            return start_engines(self.task, number)
        return start_judges(self.task, self._judge, number)
