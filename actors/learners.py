"""The learner group under supervision: when a rank dies, all ranks are started again from the last checkpoint, and what
was learnt since is learnt again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from actors.learner_contract import LogProbsRequest
from actors.learner_group import LearnerGroup
from actors.starting import Told, learner_settings, start_learners
from loop.cadence import checkpoint_every, is_due
from loop.errors import EnginesDied, InfrastructureFailed, ProcessDied, TimedOut
from loop.fleets import Lesson
from loop.learning import LearnReport, Restored
from loop.pulse import STARTING, FleetSnapshot
from loop.push import Reading
from loop.records import ShardRef, seed_of
from loop.task import Task

T = TypeVar("T")


class Learners:
    """One learner group that survives its ranks; `told` gets deaths and restarts."""

    def __init__(self, task: Task, told: Told) -> None:
        """Start the configured number of ranks without waiting for them."""
        self.told = told
        self.group: LearnerGroup = start_learners(task, task.config.learner.ranks)
        self._belong_to(task)

    def _belong_to(self, task: Task) -> None:
        self.task = task
        self.config = task.config
        self._deaths = 0
        self._show(STARTING)
        self._moved = False  # whether they stand anywhere but at the initial policy, which engines are met with
        self._back_to: int | None = None  # the round to whose end they went back and after which they learnt nothing
        self._lessons: list[Lesson] = []
        self._known_after = 0  # the lessons of all rounds after this one are kept
        self._saved: list[int] = []

    def _show(self, health: str) -> None:
        self.told.changed(FleetSnapshot("learner", {health: self.group.ranks}))

    def begin(self, task: Task) -> None:
        """Belong to another run, from its initial policy on."""
        self._belong_to(task)
        settings = learner_settings(task, self.group.ranks)
        self.together(lambda: self.group.begin(settings))

    def wait_ready(self) -> int:
        """Wait until every rank has loaded the policy; the bytes of its weights."""
        timeout_s = self.config.learner.start_timeout_s
        return self.together(lambda: self.group.wait_ready(timeout_s))

    def restore(self) -> Restored:
        """All ranks take up the newest whole checkpoint."""
        restored = self.together(self._restore)
        self._moved = True
        self._known_after = _reached(restored)
        return restored

    def rollback(self, round: int) -> None:
        """All ranks go back to the end of a round, optimiser included."""
        self.together(lambda: self.group.rollback(round, carry_optimizer=True))
        self._back_to = round
        self._lessons = [lesson for lesson in self._lessons if lesson.round <= round]

    def resize(self, ranks: int) -> None:
        """Go on with another number of ranks, at a round's edge: from the last checkpoint, and what came after it."""
        if ranks == self.group.ranks:
            return
        self.told.notice(f"The learners go on with {ranks} ranks instead of {self.group.ranks}.")
        self.group.shutdown()
        self.group = start_learners(self.task, ranks)
        self.wait_ready()
        self.together(self._take_up)

    def learn(self, lesson: Lesson) -> LearnReport:
        """Train on one round's examples, from where the ranks stand inside that round."""
        self._moved = True
        report = self.together(lambda: self._learn(lesson))
        self._back_to = None
        self._lessons.append(lesson)
        if is_due(checkpoint_every(self.config), lesson.round, self.config.rounds):
            self._saved = [*self._saved, lesson.round][-self.config.checkpoint.keep :]
            if len(self._saved) == self.config.checkpoint.keep:
                self._known_after = self._saved[0]
                self._lessons = [lesson for lesson in self._lessons if lesson.round > self._known_after]
        return report

    def log_probs(
        self, responses: Sequence[ShardRef], ids: Sequence[str] | None, request: LogProbsRequest
    ) -> list[ShardRef]:
        """One shard of log-probs per rank; see `LogProbsRequest`."""
        return self.together(lambda: self.group.log_probs(responses, ids, request))

    def read_probe(self, texts_T: Sequence[Sequence[int]]) -> Reading:
        """Log-probs of fixed texts under the present weights."""
        return self.together(lambda: self.group.read_probe(texts_T))

    def diagnose(self, lesson: Lesson, answers: Sequence[ShardRef], most: int) -> dict[str, float]:
        """Figures of a probe of the present weights; see `actors.learner_probe`."""
        return self.together(lambda: self.group.diagnose(lesson, answers, most))

    def export(self, folder: str, card: str) -> None:
        """Write the present weights as a Hugging Face checkpoint."""
        self.together(lambda: self.group.export(folder, card))

    def together(self, work: Callable[[], T]) -> T:
        """`work` on a living group; it is repeated after every restart.

        Raises: InfrastructureFailed when the group died more often than `fleet.max_restarts`.
        """
        died: InfrastructureFailed | None = None
        while True:
            try:
                if died is not None:
                    self._revive()
                    died = None
                done = work()
                self._show("healthy")
                return done
            except EnginesDied:
                raise
            except (ProcessDied, TimedOut) as error:
                died = error
                self._deaths += 1
                self._show("dead")
                self.told.learners("died", str(error))
                if self._deaths > self.config.fleet.max_restarts:
                    raise InfrastructureFailed(
                        f"the learners failed {self._deaths} times, last because {error}; the same command goes on "
                        "from their last checkpoint"
                    ) from error
                self.told.notice(f"{error} The learners are started again from their last checkpoint.")

    def _revive(self) -> None:
        started = time.monotonic()
        self._show("restarting")
        self.group.restart()
        where = f"at round {self._take_up()}" if self._moved else "at the initial policy"
        self.told.learners("restarted", where, time.monotonic() - started)

    def _take_up(self) -> int:
        """Restore, and learn what came after. Raises: InfrastructureFailed when not all of that is known here."""
        if self._back_to is not None:
            self.group.rollback(self._back_to, carry_optimizer=True)
            return self._back_to
        held = self._restore()
        if _reached(held) < self._known_after:
            raise InfrastructureFailed(
                f"the learners' checkpoints reach to round {_reached(held)} only; the same command learns again from "
                "the ledger what came after it"
            )
        for lesson in self._lessons:
            if lesson.round > _reached(held):
                self._learn(lesson)
        return held.round

    def _restore(self) -> Restored:
        restored = self.group.restore()
        for notice in restored.notices:
            self.told.notice(notice)
        return restored

    def _learn(self, lesson: Lesson) -> LearnReport:
        seed = seed_of(self.task.identity, "learn", lesson.round)
        return self.group.learn(lesson, self.config.rounds, seed)


def _reached(restored: Restored) -> int:
    """The last round whose lesson is learnt to its end in a restored state."""
    return restored.round if restored.complete else restored.round - 1
