"""Learners that die, are stopped, pause, or come back in another number, in real DeepSpeed processes: what they go on
with is what they would have had."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from actors.learner import LearnerActor
from actors.learner_group import LearnerGroup
from loop import crash
from loop.checkpoints import MARKER, names
from loop.config import OptimizerState
from loop.config_types import DType
from loop.errors import Refused, StoreFailed
from loop.learning import LearnReport, Restored
from tests.actors.learner_kit import (
    Data,
    inside,
    largest_difference,
    running,
    running_ray,
    save_small_model,
    settings,
    write_data,
)
from tests.actors.learner_states import STEPS, State, assert_same, learn, started, state, undisturbed, wanted

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


@pytest.fixture(scope="module")
def two(cluster: None, model_path: str) -> Iterator[LearnerGroup]:
    with running(settings(model_path, ranks=2)) as group:
        yield group


@pytest.fixture(scope="module")
def one(cluster: None, model_path: str) -> Iterator[LearnerGroup]:
    with running(settings(model_path, ranks=1)) as group:
        yield group


KINDS = [(0, DType.float32), (2, DType.float32), (3, DType.float32), (3, DType.bfloat16)]


SPCE = {"name": "spce", "beta": 0.1, "nll": 0.2}
REMEMBERS = {"name": "beta_dpo", "beta": 0.1}
"""A loss with a state of its own."""


@pytest.mark.parametrize(("stage", "dtype", "loss"), [*((*kind, SPCE) for kind in KINDS), (*KINDS[1], REMEMBERS)])
def test_a_phase_left_inside_and_taken_up_ends_as_if_undisturbed(
    two: LearnerGroup, data: Data, model_path: str, tmp_path: Path, stage: int, dtype: DType, loss: dict[str, Any]
) -> None:
    """A round is left in the middle by one learner and finished by another, which then has the next round before it."""
    kind = {"zero_stage": stage, "dtype": dtype, "ranks": 2, "loss": loss}
    interrupted = wanted(model_path, tmp_path / "interrupted", **kind)

    def leave(host: LearnerActor) -> list[LearnReport]:
        learner = started(host, interrupted, dropout=0.2)
        first = learn(learner, data, 1)
        if host.rank == 1:  # the ranks agree, although only one was told
            learner.pause(2)
        return [first, learn(learner, data, 2)]

    def go_on(host: LearnerActor) -> tuple[list[Restored], State, State]:
        learner = started(host, interrupted, dropout=0.2)
        restored = [learner.restore()]
        second = state(learner, learn(learner, data, 2))
        again = started(host, interrupted, dropout=0.2)
        restored.append(again.restore())
        assert learn(again, data, 2) == second.report
        return restored, second, state(again, learn(again, data, 3))

    for first, paused in inside(two, leave):
        assert (first.paused, paused.paused, paused.steps) == (False, True, 1)
    restored, second, third = (list(answers) for answers in zip(*inside(two, go_on), strict=True))
    assert restored == [[Restored(2, False, ()), Restored(2, True, ())]] * 2
    expected = undisturbed(two, data, wanted(model_path, tmp_path / "undisturbed", **kind), 3, dropout=0.2)
    assert third[0].report is not None
    assert third[0].report.steps == STEPS
    assert bool(third[0].loss_state) == (loss is REMEMBERS)
    assert_same(second, expected[1])
    assert_same(third, expected[2])


@pytest.mark.parametrize(("stage", "dtype"), [*KINDS[:3], (2, DType.bfloat16)])
def test_ranks_may_become_more_or_fewer_inside_a_phase(
    one: LearnerGroup, two: LearnerGroup, data: Data, model_path: str, tmp_path: Path, stage: int, dtype: DType
) -> None:
    kind: dict[str, Any] = {"zero_stage": stage, "dtype": dtype}
    expected = undisturbed(two, data, wanted(model_path, tmp_path / "undisturbed", ranks=2, **kind))[1][0]
    for before, after in ((two, one), (one, two)):
        folder = tmp_path / f"from{before.ranks}"

        def leave(host: LearnerActor, folder: Path = folder) -> bool:
            learner = started(host, wanted(model_path, folder, ranks=host.world, **kind))
            learn(learner, data, 1)
            learner.pause(2)
            return learn(learner, data, 2).paused

        def finish(host: LearnerActor, folder: Path = folder) -> State:
            learner = started(host, wanted(model_path, folder, ranks=host.world, **kind))
            assert learner.restore() == Restored(2, False, ())
            return state(learner, learn(learner, data, 2))

        assert all(inside(before, leave))
        finished = inside(after, finish)[0]
        # in bfloat16 a sum of gradients in another order moves a weight a little, or by the unit in its last place
        exact = dtype is DType.float32
        for name, weight in expected.weights.items():
            allowed = 1e-5 if exact else (weight.float().abs() / 128).clamp(min=5e-3)
            assert bool(((finished.weights[name].float() - weight.float()).abs() <= allowed).all()), name
        assert finished.report.loss == pytest.approx(expected.report.loss, rel=1e-5 if exact else 5e-3)
        assert (finished.report.steps, finished.report.tokens) == (STEPS, expected.report.tokens)


@pytest.mark.parametrize(("stage", "dtype"), [(3, DType.float32), (0, DType.bfloat16), (2, DType.bfloat16)])
def test_a_rollback_takes_weights_and_moments_of_the_round(
    two: LearnerGroup, data: Data, model_path: str, tmp_path: Path, stage: int, dtype: DType
) -> None:
    chosen = wanted(model_path, tmp_path / "rejecting", keep=2, ranks=2, zero_stage=stage, dtype=dtype)

    def reject(host: LearnerActor) -> dict[str, State]:
        learner, found = started(host, chosen), {}
        found["initial"] = state(learner)
        learn(learner, data, 1)
        found["first"] = state(learner)
        learn(learner, data, 2)
        learner.rollback(1, carry_optimizer=False)
        found["reset"] = state(learner)
        learner.rollback(1, carry_optimizer=True)
        found["carried"] = state(learner)
        found["third"] = state(learner, learn(learner, data, 3))
        with pytest.raises(Refused, match="the learner checkpoint of round 1 is not kept"):
            learner.rollback(1, carry_optimizer=True)
        learner.rollback(0, carry_optimizer=True)
        found["zero"] = state(learner)
        assert learner.restore() == Restored(3, True, ())
        return found

    def without_second(host: LearnerActor) -> State:
        learner = started(host, dataclasses.replace(chosen, checkpoints=str(tmp_path / "without")))
        learn(learner, data, 1)
        return state(learner, learn(learner, data, 3))

    found, never = inside(two, reject), inside(two, without_second)
    assert names(tmp_path / "rejecting") == ["round-000003-step-000004", "round-000002-step-000004"]
    for rank in range(2):
        first, initial = found[rank]["first"], found[rank]["initial"]
        assert largest_difference(first.weights, initial.weights) > 1e-3
        for name in ("reset", "carried"):
            assert largest_difference(found[rank][name].weights, first.weights) == 0
        assert first.moments
        assert largest_difference(found[rank]["carried"].moments, first.moments) == 0
        assert found[rank]["reset"].moments == found[rank]["zero"].moments == {}
        assert largest_difference(found[rank]["zero"].weights, initial.weights) == 0
    assert_same([answer["third"] for answer in found], never)


def test_a_reset_optimiser_is_reset_at_a_phases_start_only(
    one: LearnerGroup, data: Data, model_path: str, tmp_path: Path
) -> None:
    """Checkpoints come every third step of four, and at the end of every second round."""
    chosen = wanted(model_path, tmp_path / "a", every=2, steps=3, ranks=1, optimizer=OptimizerState.reset)

    def work(host: LearnerActor) -> tuple[list[list[str]], State]:
        learner, seen = started(host, chosen), []
        for round in (1, 2, 3):
            learn(learner, data, round)
            seen.append(names(tmp_path / "a"))
        (tmp_path / "a" / "round-000003-step-000004").rename(tmp_path / "gone")
        other = started(host, dataclasses.replace(chosen, checkpoints=str(tmp_path / "b")))
        learn(other, data, 1)
        other.pause(2)
        learn(other, data, 2)
        again = started(host, dataclasses.replace(chosen, checkpoints=str(tmp_path / "b")))
        again.restore()
        return seen, state(again, learn(again, data, 2))

    ((seen, resumed),) = inside(one, work)
    assert seen == [
        ["round-000001-step-000003"],
        ["round-000002-step-000004"],
        ["round-000003-step-000004", "round-000002-step-000004"],
    ]
    expected = undisturbed(one, data, dataclasses.replace(chosen, checkpoints=str(tmp_path / "c")))
    assert_same([resumed], expected[1])


def test_a_damaged_checkpoint_is_passed_over_by_all_ranks(
    two: LearnerGroup, data: Data, model_path: str, tmp_path: Path
) -> None:
    chosen = wanted(model_path, tmp_path, ranks=2)

    def two_rounds(host: LearnerActor) -> None:
        learner = started(host, chosen)
        learn(learner, data, 1)
        learn(learner, data, 2)

    def restore(host: LearnerActor) -> tuple[Restored, LearnReport]:
        learner = started(host, chosen)
        return learner.restore(), learn(learner, data, 2)

    def strange(host: LearnerActor) -> str:
        learner = started(host, dataclasses.replace(chosen, identity="other"))
        with pytest.raises(Refused) as refused:
            learner.restore()
        return str(refused.value)

    inside(two, two_rounds)
    newest = tmp_path / "round-000002-step-000004"
    part = newest / "rank-001.safetensors"
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    for restored, report in inside(two, restore):
        assert restored == Restored(
            1,
            True,
            (
                f"The learner checkpoint {newest.name} is damaged and was passed over: "
                "the digest of rank-001.safetensors differs from its marker's.",
            ),
        )
        assert report.steps == STEPS
    assert part.read_bytes()[-1] == content[-1] ^ 1  # written anew
    (newest / MARKER).unlink()
    assert [restored.round for restored, _ in inside(two, restore)] == [1, 1]
    assert "the learner checkpoint of another run (test, this one is other)" in inside(two, strange)[0]


def test_where_one_rank_cannot_write_all_say_so_and_the_last_checkpoint_stays(
    two: LearnerGroup, data: Data, model_path: str, tmp_path: Path
) -> None:
    plan = tmp_path / "plan"
    plan.write_text(json.dumps({"id": "full", "point": "checkpoint/parts", "hit": 3, "kind": "fail"}))
    chosen = wanted(model_path, tmp_path / "store", steps=1, ranks=2)

    def fail(host: LearnerActor) -> str:
        host.tested = started(host, chosen)
        if host.rank == 1:
            os.environ[crash.PLAN] = str(plan)
        with pytest.raises(StoreFailed) as failed:
            learn(host.tested, data, 1)
        os.environ.pop(crash.PLAN, None)
        return str(failed.value)

    reason = f"round-000001-step-000003 could not be written to {tmp_path / 'store'}: {os.strerror(errno.ENOSPC)}"
    assert inside(two, fail) == [f"the learner checkpoint {reason}"] * 2
    assert [entry.name for entry in (tmp_path / "store").iterdir()] == ["round-000001-step-000002"]
    ends = inside(two, lambda host: state(host.tested, learn(host.tested, data, 1)))
    assert_same(ends, undisturbed(two, data, wanted(model_path, tmp_path / "undisturbed", ranks=2))[0])
