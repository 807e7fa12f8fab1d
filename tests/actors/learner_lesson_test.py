"""What a learn phase reads: responses under the recipe's anchors, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.learner_contract import LearnerSettings
from actors.learner_lesson import Lesson, read_lesson
from loop.config import AlgorithmConfig, Anchor, CheckpointConfig, LearnerConfig, ModelConfig
from loop.errors import Refused
from loop.recipe import loss_of
from loop.records import AnchorLogProbs, Example, Response, ShardRef
from loop.shards import write_shard
from tests.loop.factories import list_example, pair_example, response

ROWS = [response(k, "ab", id=f"y{k}") for k in range(3)]
EXAMPLES = [replace(pair_example("x", "y0", "y1"), stage=1), pair_example("z", "y1", "y2")]
SAMPLED = [-0.5, -0.5, -0.5]


def anchored(folder: Path, anchor: str, value: float, ids: tuple[str, ...] = ("y0", "y1", "y2")) -> ShardRef:
    rows = [AnchorLogProbs(one, 2, anchor, "r0-s0", "learner:float32", [value] * 3) for one in ids]
    return write_shard(str(folder), f"anchors-{anchor}", 2, 0, rows, AnchorLogProbs)


def lesson(
    folder: Path,
    anchor_refs: list[ShardRef],
    anchors: tuple[Anchor, ...],
    round: int = 2,
    loss: str = "inpo",
    examples: list[Example] = EXAMPLES,
) -> Lesson:
    algorithm = AlgorithmConfig(name="test", loss={"name": loss}, anchors=list(anchors))
    learner, checkpoint = LearnerConfig(batch_examples=1), CheckpointConfig()
    settings = LearnerSettings(ModelConfig(), learner, algorithm, checkpoint, str(folder), "identity")
    refs = [write_shard(str(folder), "responses", round, 0, ROWS, Response)]
    return read_lesson(settings, loss_of(algorithm), 1, round, 3, examples, refs, anchor_refs, 0)


BOTH = (Anchor.initial, Anchor.previous)


def test_anchors_come_in_the_recipes_order_whatever_that_of_the_shards(tmp_path: Path) -> None:
    refs = [anchored(tmp_path, "previous", -2.0), anchored(tmp_path, "initial", -1.0)]
    for sequence in lesson(tmp_path, refs, BOTH).sequences.values():
        assert sequence.anchors_AR.tolist() == [[-1.0] * 3, [-2.0] * 3]
    for sequence in lesson(tmp_path, refs, BOTH[::-1]).sequences.values():
        assert sequence.anchors_AR.tolist() == [[-2.0] * 3, [-1.0] * 3]


def test_the_sampler_serves_for_an_anchor_without_shards(tmp_path: Path) -> None:
    found = lesson(tmp_path, [anchored(tmp_path, "initial", -1.0)], BOTH).sequences["y0"]
    assert found.anchors_AR.tolist() == [[-1.0] * 3, SAMPLED]
    assert lesson(tmp_path, [], BOTH, round=1).sequences["y0"].anchors_AR.tolist() == [SAMPLED, SAMPLED]
    assert lesson(tmp_path, [], (), loss="simpo").sequences["y0"].anchors_AR.shape == (0, 3)


def test_missing_log_probs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no shard holds log-probs of round 2's responses under the initial policy"):
        lesson(tmp_path, [anchored(tmp_path, "previous", -1.0)], BOTH)
    with pytest.raises(Refused, match="response y1 has no log-probs under the initial policy"):
        lesson(tmp_path, [anchored(tmp_path, "initial", -1.0, ("y0", "y2"))], BOTH)


def test_stages_order_the_steps(tmp_path: Path) -> None:
    assert [step.examples for step in lesson(tmp_path, [], BOTH, round=1).steps] == [[1], [0]]


def test_examples_that_do_not_fit_the_loss_are_refused_before_any_step(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="example l has no response in the role 'chosen'"):
        lesson(tmp_path, [], BOTH, round=1, examples=[*EXAMPLES, list_example("l", ["y0"], [1.0])])
