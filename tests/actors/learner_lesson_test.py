"""What a learn phase reads: responses under the anchors, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.learner_contract import LearnerSettings
from actors.learner_lesson import Work, read_lesson
from loop.anchors import Resolved
from loop.config import AlgorithmConfig, CheckpointConfig, LearnerConfig, ModelConfig
from loop.errors import Refused
from loop.fleets import Lesson
from loop.recipe import loss_of
from loop.records import AnchorLogProbs, Example, Response, ShardRef
from loop.shards import write_shard
from tests.loop.factories import list_example, pair_example, response

SAMPLER, OTHER = Resolved(("r0-s0",), (1.0,)), Resolved(("r1-s8",), (1.0,))
ROWS = [response(k, "ab", id=f"y{k}") for k in range(3)]
EXAMPLES = [replace(pair_example("x", "y0", "y1"), stage=1), pair_example("z", "y1", "y2")]
SAMPLED = [-0.5, -0.5, -0.5]


def anchored(folder: Path, policy: str, value: float, ids: tuple[str, ...] = ("y0", "y1", "y2")) -> ShardRef:
    rows = [AnchorLogProbs(one, 2, "kind", policy, "learner:float32", "key", [value] * 3) for one in ids]
    return write_shard(str(folder), f"anchors-{policy}", 2, 0, rows, AnchorLogProbs)


def work(
    folder: Path,
    anchors: list[ShardRef],
    serving: tuple[Resolved, ...],
    loss: str = "inpo",
    examples: list[Example] = EXAMPLES,
) -> Work:
    algorithm = AlgorithmConfig(name="test", loss={"name": loss})
    learner, checkpoint = LearnerConfig(batch_examples=1), CheckpointConfig()
    settings = LearnerSettings(ModelConfig(), learner, algorithm, checkpoint, str(folder), "identity")
    refs = [write_shard(str(folder), "responses", 2, 0, ROWS, Response)]
    lesson = Lesson(2, [], refs, anchors, serving)
    return read_lesson(settings, loss_of(algorithm), 1, lesson, examples, 3, 0)


def test_anchors_come_in_the_recipes_order_whatever_that_of_the_shards(tmp_path: Path) -> None:
    refs = [anchored(tmp_path, "r0-s0", -2.0), anchored(tmp_path, "r1-s8", -1.0)]
    for sequence in work(tmp_path, refs, (OTHER, SAMPLER)).sequences.values():
        assert sequence.anchors_AR.tolist() == [[-1.0] * 3, [-2.0] * 3]
    for sequence in work(tmp_path, refs, (SAMPLER, OTHER)).sequences.values():
        assert sequence.anchors_AR.tolist() == [[-2.0] * 3, [-1.0] * 3]


def test_the_samplers_own_serve_for_the_policy_that_sampled_where_none_were_computed(tmp_path: Path) -> None:
    found = work(tmp_path, [anchored(tmp_path, "r1-s8", -1.0)], (OTHER, SAMPLER)).sequences["y0"]
    assert found.anchors_AR.tolist() == [[-1.0] * 3, SAMPLED]
    assert work(tmp_path, [], (), loss="simpo").sequences["y0"].anchors_AR.shape == (0, 3)


def test_a_mixture_is_the_weighted_mean_of_its_policies_log_probs(tmp_path: Path) -> None:
    mixture = Resolved(("r0-s0", "r1-s8"), (0.75, 0.25))
    found = work(tmp_path, [anchored(tmp_path, "r1-s8", -2.5)], (mixture,), "dpo").sequences["y2"]
    np.testing.assert_allclose(found.anchors_AR, [[0.75 * -0.5 + 0.25 * -2.5] * 3])


def test_missing_log_probs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="response y0 has no log-probs under policy r1-s8 in any shard"):
        work(tmp_path, [anchored(tmp_path, "r0-s0", -1.0)], (SAMPLER, OTHER))
    with pytest.raises(Refused, match="response y1 has no log-probs under policy r1-s8"):
        work(tmp_path, [anchored(tmp_path, "r1-s8", -1.0, ("y0", "y2"))], (SAMPLER, OTHER))


def test_log_probs_that_did_not_come_with_a_response_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [replace(ROWS[0], logprobs_T=[]), *ROWS[1:]]
    monkeypatch.setattr(f"{__name__}.ROWS", rows)
    with pytest.raises(Refused, match="response y0 has no log-probs under policy r0-s0 in any shard"):
        work(tmp_path, [], (SAMPLER, SAMPLER))
    found = work(tmp_path, [anchored(tmp_path, "r0-s0", -2.0, ("y0",))], (SAMPLER, SAMPLER)).sequences
    assert found["y0"].anchors_AR.tolist() == [[-2.0] * 3] * 2
    assert found["y1"].anchors_AR.tolist() == [SAMPLED] * 2


def test_stages_order_the_steps(tmp_path: Path) -> None:
    assert [step.examples for step in work(tmp_path, [], (SAMPLER, SAMPLER)).steps] == [[1], [0]]


def test_a_look_ahead_and_the_step_after_it_learn_at_the_same_rate(tmp_path: Path) -> None:
    algorithm = AlgorithmConfig(name="test", loss={"name": "inpo"}, look_ahead=True)
    settings = LearnerSettings(
        ModelConfig(),
        LearnerConfig(batch_examples=1, warmup=0.0),
        algorithm,
        CheckpointConfig(),
        str(tmp_path),
        "identity",
    )
    refs = [write_shard(str(tmp_path), "responses", 2, 0, ROWS, Response)]
    rates = [
        read_lesson(
            settings, loss_of(algorithm), 1, Lesson(round, [], refs, [], (SAMPLER, SAMPLER)), EXAMPLES, 4, 0
        ).rates
        for round in (1, 2, 3, 4)
    ]
    assert rates[0] == rates[1] and rates[2] == rates[3]
    cosine = [0.5 + 0.5 * np.cos(np.pi * share) for share in (0.125, 0.375, 0.625, 0.875)]
    assert [*rates[1], *rates[3]] == pytest.approx([5e-7 * share for share in cosine])


def test_examples_that_do_not_fit_the_loss_are_refused_before_any_step(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="example l has no response in the role 'chosen'"):
        work(tmp_path, [], (SAMPLER, SAMPLER), examples=[*EXAMPLES, list_example("l", ["y0"], [1.0])])
