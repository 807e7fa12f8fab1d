"""Ranks that go over to another run, where they do what new ones would do, and frozen policies that they hand on."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from actors.learner import LearnerActor
from actors.learner_contract import Frozen, LearnerSettings
from actors.learner_group import LearnerGroup
from loop.checkpoints import names
from loop.config import DType
from loop.push import Manifest, TensorSpec
from tests.actors.learner_kit import Call, Data, inside, lesson, running, running_ray, save_small_model, write_data
from tests.actors.learner_states import State, assert_same, learn, started, state, undisturbed, wanted

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

BATCHED = {"name": "aot", "beta": 0.1}
"""A loss whose state outlives a step."""


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_small_model(str(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return write_data(str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def two(model_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LearnerGroup]:
    with running_ray(), running(wanted(model_path, tmp_path_factory.mktemp("first"), ranks=2)) as group:
        yield group


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"zero_stage": 0}, {"zero_stage": 0}),
        ({"zero_stage": 2}, {"zero_stage": 2}),
        ({"zero_stage": 3}, {"zero_stage": 3}),
        ({"zero_stage": 2, "dtype": DType.bfloat16}, {"zero_stage": 2, "dtype": DType.bfloat16}),
        ({"zero_stage": 2}, {"zero_stage": 3, "weight_decay": 0.0}),
        ({"zero_stage": 2}, {"zero_stage": 2, "eps": 1e-2, "max_grad_norm": 0.1}),
    ],
    ids=["zero0", "zero2", "zero3", "bfloat16", "other_stage", "other_optimiser"],
)
def test_another_run_learns_as_if_the_ranks_were_new(
    two: LearnerGroup, data: Data, model_path: str, tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    first = wanted(model_path, tmp_path / "first", ranks=2, **before)
    changes = {"loss": {"name": "dpo", "beta": 0.3}, "lr": 3e-3, "batch_examples": 4}
    other = dataclasses.replace(
        wanted(model_path, tmp_path / "other", ranks=2, **{**changes, **after}), identity="other"
    )

    def work(host: LearnerActor) -> State:
        learner = started(host, first)
        learn(learner, data, 1)
        learner.begin(other)
        return state(learner, learn(learner, data, 1))

    learnt = inside(two, work)
    fresh = dataclasses.replace(other, checkpoints=str(tmp_path / "fresh"))
    assert_same(learnt, undisturbed(two, data, fresh, rounds=1)[0])
    assert names(tmp_path / "other") == names(tmp_path / "fresh") == ["round-000001-step-000006"]


def test_a_group_that_went_over_is_restarted_for_its_new_run(
    two: LearnerGroup, model_path: str, tmp_path: Path
) -> None:
    other = dataclasses.replace(wanted(model_path, tmp_path, ranks=2), identity="other")
    two.begin(other)
    two.restart()
    assert inside(two, settings_of) == [other, other]


def settings_of(learner: LearnerActor) -> LearnerSettings:
    return learner.settings


def test_a_frozen_policy_is_streamed_and_read_like_the_present_one_and_leaves_it_alone(
    two: LearnerGroup, data: Data, model_path: str, tmp_path: Path
) -> None:
    texts = [[1, 2, 3], [9, 8, 7, 6]]
    two.rollback(0, carry_optimizer=False)
    initial, initial_groups = two.read_probe(texts), streamed(two)
    two.learn(lesson(Call(data.example_refs, data.response_refs), 2), 2, 3)
    trained, trained_groups = two.read_probe(texts), streamed(two)
    two.export(str(tmp_path / "export"), "# A card\n")
    for path, reading, groups in (
        (model_path, initial, initial_groups),
        (str(tmp_path / "export"), trained, trained_groups),
    ):
        frozen = Frozen(path)
        assert streamed(two, frozen) == groups
        assert two.read_probe(texts, frozen) == reading
    assert initial != trained
    assert (two.read_probe(texts), streamed(two)) == (trained, trained_groups)


def streamed(group: LearnerGroup, frozen: Frozen | None = None) -> list[list[TensorSpec]]:
    """The tensors of a stream, group by group."""
    *groups, manifest = [ray.get(ref) for ref in group.weight_stream("v", frozen)]
    specs = [[TensorSpec.of(name, tensor) for name, tensor in group.items()] for group in groups]
    assert manifest == Manifest("v", tuple(spec for group in specs for spec in group))
    return specs
