"""Learners inside running ranks, and all that a resumed one must share with an undisturbed one."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import ray
import torch

from actors.learner import LearnerActor
from actors.learner_contract import LearnerSettings
from actors.learner_group import LearnerGroup
from loop.config import CheckpointConfig
from loop.learning import LearnReport
from tests.actors.learner_kit import (
    Call,
    Data,
    Weights,
    gathered,
    inside,
    largest_difference,
    lesson,
    settings,
    timeless,
)

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROUNDS = 3
STEPS = 4  # of a round: eleven examples in batches of six, two epochs


@dataclasses.dataclass(frozen=True)
class State:
    """All that a resumed learner must share with an undisturbed one."""

    report: LearnReport | None
    weights: Weights
    moments: Weights  # this rank's
    bad_in_a_row: int
    loss_state: dict[str, float]
    draws: list[float]


def wanted(path: str, folder: Path, every: int = 1, steps: int = 0, keep: int = 2, **changes: Any) -> LearnerSettings:
    checkpoint = CheckpointConfig(every=every, steps=steps, keep=keep)
    return dataclasses.replace(
        settings(path, **{"epochs": 2, "checkpoints": str(folder), **changes}), checkpoint=checkpoint
    )


def started(host: LearnerActor, wanted: LearnerSettings, dropout: float = 0.0) -> LearnerActor:
    """A new learner inside a running rank; with `dropout` its steps depend on the random-number generator."""
    from actors.learner_state import seed_generators

    learner = LearnerActor(host.rank, host.world, wanted)
    learner.start(("", 0))
    seed_generators(99)  # as little what it was as in a new process
    for module in learner.engine.module.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = dropout
    return learner


def learn(learner: LearnerActor, data: Data, round: int) -> LearnReport:
    report = learner.learn(lesson(Call(data.example_refs, data.response_refs), round), ROUNDS, 3)
    return timeless(report)


def moments(learner: LearnerActor) -> Weights:
    from actors.learner_state import MOMENTS, fragments

    state = learner.engine.deepspeed.basic_optimizer.state
    found = {}
    for one in fragments(learner.engine, learner.rank):
        if one.owner in state:
            found[f"step/{one.name}"] = state[one.owner]["step"].reshape(1).clone()
            for kind in MOMENTS:
                flat = state[one.owner][kind].detach().view(-1)
                found[f"{kind}/{one.name}"] = flat.narrow(0, one.offset, len(one.weights)).clone()
    return found


def state(learner: LearnerActor, report: LearnReport | None = None) -> State:
    import random

    import numpy as np

    where = learner.progress
    draws = [random.random(), float(np.random.random()), float(torch.rand(1))]
    return State(report, gathered(learner), moments(learner), where.bad_in_a_row, where.loss_state, draws)


def assert_same(resumed: list[State], undisturbed: list[State]) -> None:
    for mine, theirs in zip(resumed, undisturbed, strict=True):
        assert mine.report == theirs.report
        assert largest_difference(mine.weights, theirs.weights) == 0
        assert theirs.moments
        assert largest_difference(mine.moments, theirs.moments) == 0
        assert (mine.bad_in_a_row, mine.loss_state) == (theirs.bad_in_a_row, theirs.loss_state)
        assert mine.draws == theirs.draws


def undisturbed(
    group: LearnerGroup, data: Data, settings: LearnerSettings, rounds: int = 2, dropout: float = 0.0
) -> list[list[State]]:
    """Some rounds in one go: for each of them the ranks' states at its end."""

    def work(host: LearnerActor) -> list[State]:
        learner = started(host, settings, dropout)
        return [state(learner, learn(learner, data, round)) for round in range(1, rounds + 1)]

    return [list(states) for states in zip(*inside(group, work), strict=True)]
