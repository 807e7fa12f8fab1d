"""Writing and taking up the learners' checkpoints, all ranks together.

Every method is called on all ranks at once. A rank that fails says so before anybody goes on: all raise the same
error, and none is left waiting.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError

from actors import learner_state
from actors.learner_contract import LearnerSettings
from actors.learner_engine import Engine, from_all_ranks, load_trainable
from loop import checkpoints, crash
from loop.checkpoints import Marker, Part
from loop.errors import RatchetError, Refused, StoreFailed
from loop.learning import Progress

T = TypeVar("T")


class Checkpoints:
    """One rank's part in the checkpoints of a run."""

    def __init__(self, engine: Engine, settings: LearnerSettings, rank: int, world: int) -> None:
        self.engine = engine
        self.settings = settings
        self.folder = Path(settings.checkpoints)
        self.rank = rank
        self.world = world

    def save(self, progress: Progress, stay: Sequence[int | None] = ()) -> None:
        """Write a checkpoint of the present state and delete those that it supersedes; the ends of the rounds `stay`
        are none of them. Raises: StoreFailed."""
        name = checkpoints.name_of(progress)
        failure = f"the learner checkpoint {name} could not be written to {self.folder}"
        self._on_rank_0(lambda: checkpoints.begin(self.folder, name), failure)
        try:
            parts = self._together(lambda: self._write_part(name), failure)
            self._on_rank_0(lambda: self._publish(progress, parts, stay), failure)
        finally:
            if self.rank == 0:
                shutil.rmtree(checkpoints.work_folder(self.folder, name), ignore_errors=True)

    def _write_part(self, name: str) -> Part:
        file = checkpoints.work_folder(self.folder, name) / f"rank-{self.rank:03d}.safetensors"
        learner_state.write(self.engine, self.rank, file)
        checkpoints.flush(file)
        part = checkpoints.part_of(file)
        crash.reached("checkpoint/parts")
        return part

    def _publish(self, progress: Progress, parts: list[Part], stay: Sequence[int | None]) -> None:
        settings = self.settings
        stage, dtype = settings.learner.zero_stage, settings.model.dtype.value
        marker = Marker(settings.identity, self.world, stage, dtype, progress, tuple(parts))
        checkpoints.publish(self.folder, marker, crash.reached)
        gone = checkpoints.superseded(self.folder, marker, settings.checkpoint.keep, stay)
        checkpoints.remove(self.folder, gone)

    def newest(self) -> tuple[Marker | None, list[str]]:
        """The newest whole checkpoint and a sentence for each damaged one that is newer. Raises: Refused for another
        run's."""
        notices: list[str] = []
        failure = f"the learner checkpoints in {self.folder} could not be read"
        for name in self._on_rank_0(lambda: checkpoints.names(self.folder), failure):
            marker = self._on_rank_0(
                partial(checkpoints.candidate, self.folder / name, self.settings.identity), failure
            )
            wrong = self._damage(marker) if isinstance(marker, Marker) else marker
            if isinstance(marker, Marker) and wrong is None:
                return marker, notices
            notices.append(checkpoints.passed_over(self.folder / name, str(wrong)))
        return None, notices

    def end_of(self, round: int) -> Marker:
        """The whole checkpoint with which a round's learn phase ended. Raises: Refused when there is none."""
        failure = f"the learner checkpoints in {self.folder} could not be read"
        for marker in self._on_rank_0(lambda: checkpoints.find(self.folder), failure):
            if marker.round == round and marker.complete:
                if (wrong := self._damage(marker)) is None:
                    return marker
                raise Refused(f"the learner checkpoint of round {round} is damaged: {wrong}")
        raise Refused(f"the learner checkpoint of round {round} is not kept: checkpoint.keep decides how many are")

    def load(self, marker: Marker, carry: bool) -> list[Any] | None:
        """Take up the weights and, with `carry`, the optimiser's moments of a checkpoint that was found whole.

        Returns this rank's random-number generators, None where it had no part in the checkpoint.
        """
        path = self.folder / marker.name
        files = [path / part.name for part in self._needed(marker)]
        self._together(
            lambda: learner_state.fill(self.engine, self.rank, learner_state.Saved(files).piece, carry),
            f"the learner checkpoint {path} could not be read",
        )
        learner_state.refresh(self.engine)
        return learner_state.generators_in(path / marker.parts[self.rank].name) if self.rank < marker.world else None

    def load_initial(self) -> None:
        """Take up the policy that the run started from, without moments."""
        whole = dict(load_trainable(self.settings.model, self.settings.learner).named_parameters())

        def piece(kind: str, name: str, start: int, length: int) -> torch.Tensor:
            return whole[name].detach().view(-1).narrow(0, start, length)

        learner_state.fill(self.engine, self.rank, piece, carry=False)
        learner_state.refresh(self.engine)

    def _needed(self, marker: Marker) -> list[Part]:
        """The files that this rank reads: its own, or all of them where state is laid out anew or rank 0 has it."""
        if marker.world == self.world and marker.zero_stage > 0:
            return [marker.parts[self.rank]]
        return list(marker.parts)

    def _damage(self, marker: Marker) -> str | None:
        """What is wrong with the files that any rank reads, the same answer on all ranks."""
        here = checkpoints.damage(self.folder / marker.name, self._needed(marker))
        return next((wrong for wrong in from_all_ranks(here) if wrong is not None), None)

    def _on_rank_0(self, work: Callable[[], T], failure: str) -> T:
        """What rank 0 finds, on all ranks."""
        found: list[Any] = self._together(lambda: work() if self.rank == 0 else None, failure)
        return found[0]

    def _together(self, work: Callable[[], T], failure: str) -> list[T]:
        """Each rank's work and then the results of all; an error of one rank is raised on all."""
        result: Any = None
        error: RatchetError | None = None
        try:
            result = work()
        except OSError as problem:
            error = StoreFailed(f"{failure}: {problem.strerror or problem}")
        except SafetensorError as problem:
            error = StoreFailed(f"{failure}: {problem}")
        except RatchetError as problem:
            error = problem
        answers = from_all_ranks((result, error))
        for _, told in answers:
            if told is not None:
                raise told
        return [answer for answer, _ in answers]
