"""Learner ranks against a plain training loop, in real DeepSpeed processes."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from actors.calls import wait
from actors.learner import LearnerActor
from actors.learner_contract import Frozen, LogProbsRequest
from actors.learner_group import LearnerGroup
from loop.config import (
    DType,
    OptimizerState,
)
from loop.errors import InfrastructureFailed, Refused, Stopped
from loop.learning import TERMS, LearnReport
from loop.push import Manifest, TensorSpec
from loop.records import AnchorLogProbs, Response
from loop.shards import read_shards, write_shard
from tests.actors.learner_kit import (
    Call,
    Data,
    gathered,
    inside,
    largest_difference,
    lesson,
    response,
    running,
    running_ray,
    save_small_model,
    settings,
    write_data,
)
from tests.actors.learner_reference import fresh, logprobs, plain_training
from tests.actors.probe_reference import figures, probed_round
from tests.loop.factories import list_example, pair_example, single_example

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def small_model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_small_model(str(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return write_data(str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with running_ray():
        yield


@pytest.fixture(scope="module")
def two(cluster: None, small_model_path: str) -> Iterator[LearnerGroup]:
    """Two ranks under ZeRO-3, the policy untrained."""
    with running(settings(small_model_path, ranks=2, zero_stage=3)) as group:
        yield group


@pytest.fixture(scope="module")
def one(cluster: None, small_model_path: str) -> Iterator[LearnerGroup]:
    with running(settings(small_model_path, ranks=1, zero_stage=0)) as group:
        yield group


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_any_split_gives_the_parameters_of_a_plain_loop(
    one: LearnerGroup, two: LearnerGroup, data: Data, small_model_path: str, ranks: int, stage: int
) -> None:
    wanted = settings(small_model_path, ranks=ranks, zero_stage=stage, max_grad_norm=1.0 if ranks == 1 else 1e3)
    reports, weights = fresh({1: one, 2: two}[ranks], wanted, [Call(data.example_refs, data.response_refs)])
    expected, norm = plain_training(small_model_path, data, wanted)
    start = AutoModelForCausalLM.from_pretrained(small_model_path).state_dict()
    assert largest_difference(weights, expected) < 1e-6
    assert largest_difference(start, expected) > 1e-3
    (report,) = reports
    assert (report.steps, report.skipped_steps, report.examples, report.lr) == (2, 0, 11, 1e-2)
    assert report.loss > 0 and report.tokens > 200
    assert report.grad_norm == pytest.approx(norm, rel=1e-4)
    assert report.terms["margin"] == pytest.approx(
        report.terms["chosen_log_ratio"] - report.terms["rejected_log_ratio"], abs=1e-4
    )


@pytest.mark.parametrize("name", ["beta_dpo", "wpo"])
def test_a_loss_that_asks_for_more_learns_the_same_on_one_rank_and_on_two(
    one: LearnerGroup, two: LearnerGroup, data: Data, small_model_path: str, name: str
) -> None:
    """beta_dpo reads the whole step before its gradient, and remembers it; wpo reads the policy's own distribution."""
    calls, kind = [Call(data.example_refs, data.response_refs)] * 2, {"loss": {"name": name, "beta": 0.1}}
    reports, weights = fresh(one, settings(small_model_path, ranks=1, zero_stage=0, **kind), calls)
    split = settings(small_model_path, ranks=2, zero_stage=3, micro_batch_tokens=50, **kind)
    their_reports, their_weights = fresh(two, split, calls)
    assert largest_difference(weights, their_weights) < 1e-5
    for mine, theirs in zip(reports, their_reports, strict=True):
        assert mine.steps == theirs.steps == 2
        assert mine.loss == pytest.approx(theirs.loss, rel=1e-5)
    plain = settings(small_model_path, ranks=1, zero_stage=0, loss={"name": "dpo", "beta": 0.1})
    assert largest_difference(weights, fresh(one, plain, calls)[1]) > 1e-4


@pytest.mark.parametrize("kind", ["list", "single"])
def test_lists_and_single_responses_are_learnt_from(
    one: LearnerGroup, data: Data, small_model_path: str, kind: str
) -> None:
    names = [f"y{at}" for at in range(12)]
    examples = {
        "list": [list_example(f"l{at}", names[at : at + 3], [0.9, 0.1, 0.5]) for at in range(6)],
        "single": [single_example(f"s{at}", names[at], float(at % 2)) for at in range(6)],
    }[kind]
    wanted = settings(small_model_path, loss={"name": {"list": "infonca", "single": "bco"}[kind]}, ranks=1)
    (report,), _ = fresh(one, wanted, [Call(data.with_examples(kind, examples), data.response_refs)])
    assert (report.steps, report.examples, set(report.terms)) == (1, 6, set(TERMS[kind]))  # type: ignore[index]
    with pytest.raises(Refused, match="example e0 has no response in the role"):
        fresh(one, wanted, [Call(data.example_refs, data.response_refs)])


@pytest.mark.parametrize("optimizer", OptimizerState)
@pytest.mark.parametrize("stage", [0, 2])
def test_the_optimiser_is_carried_or_reset_between_rounds(
    one: LearnerGroup, data: Data, small_model_path: str, optimizer: OptimizerState, stage: int
) -> None:
    wanted = settings(small_model_path, zero_stage=stage, optimizer=optimizer)
    _, weights = fresh(one, wanted, [Call(data.example_refs, data.response_refs)] * 2)
    assert largest_difference(weights, plain_training(small_model_path, data, wanted, rounds=2)[0]) < 2e-6
    other = next(state for state in OptimizerState if state is not optimizer)
    unlike = settings(small_model_path, zero_stage=stage, optimizer=other)
    assert largest_difference(weights, plain_training(small_model_path, data, unlike, rounds=2)[0]) > 1e-4


BAD = pair_example("bad", "y1", "bad")
FORMATS = [(0, DType.float32), (1, DType.float32), (2, DType.float32), (3, DType.float32)]
FORMATS += [(stage, DType.bfloat16) for stage in range(4)]


@pytest.mark.parametrize(("stage", "dtype"), FORMATS)
def test_a_step_with_a_bad_loss_is_skipped_on_all_ranks(
    two: LearnerGroup, data: Data, small_model_path: str, stage: int, dtype: DType
) -> None:
    wanted = settings(small_model_path, ranks=2, zero_stage=stage, dtype=dtype)
    bad = Call(data.with_examples("bad", [BAD, *data.examples[:5]]), data.response_refs)
    good = Call(data.example_refs, data.response_refs)
    _, start = fresh(two, wanted, [])
    (report,), weights = fresh(two, wanted, [bad])
    assert (report.steps, report.skipped_steps, report.bad_examples, report.examples) == (0, 1, ("bad",), 0)
    assert largest_difference(weights, start) == 0
    # What the skipped step computed is gone: the next round is as if it had not been.
    (_, after), weights_after = fresh(two, wanted, [bad, good])
    assert after.steps == 2
    _, weights_without = fresh(two, wanted, [good])
    assert largest_difference(weights_after, weights_without) == 0


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_a_step_with_a_bad_gradient_is_skipped_and_names_its_examples(
    two: LearnerGroup, data: Data, small_model_path: str, stage: int
) -> None:
    heavy = [dataclasses.replace(example, weight=1e38, strength=1.0) for example in data.examples[:2]]
    request = LogProbsRequest(data.root, "own", 1, 0, "previous", "r0", "digest", Frozen(small_model_path))
    anchors = two.log_probs(data.response_refs, None, request)
    wanted = settings(small_model_path, ranks=2, zero_stage=stage, beta=30.0)
    call = Call(data.with_examples(f"heavy{stage}", heavy), data.response_refs, anchors)
    (report,), weights = fresh(two, wanted, [call])
    assert (report.steps, report.skipped_steps, sorted(report.bad_examples)) == (0, 1, ["e0", "e1"])
    assert largest_difference(weights, fresh(two, wanted, [])[1]) == 0


def test_too_many_bad_steps_in_a_row_stop_the_run(two: LearnerGroup, data: Data, small_model_path: str) -> None:
    wanted = settings(small_model_path, ranks=2, max_bad_steps=2)
    refs = data.with_examples("stop", [BAD])
    with pytest.raises(Stopped, match=r"2 optimiser steps in a row .* the last one's examples are bad$"):
        fresh(two, wanted, [Call(refs, data.response_refs)] * 2)


def test_without_examples_nothing_happens(two: LearnerGroup, data: Data, small_model_path: str) -> None:
    wanted = settings(small_model_path, ranks=2, weight_decay=0.5, optimizer=OptimizerState.reset)
    good = Call(data.example_refs, data.response_refs)
    none = Call(data.with_examples("none", []), data.response_refs)
    (_, report), weights = fresh(two, wanted, [good, none])
    assert report == LearnReport()
    assert largest_difference(weights, fresh(two, wanted, [good])[1]) == 0


def test_anchor_log_probs_are_the_frozen_models(two: LearnerGroup, data: Data, small_model_path: str) -> None:
    wanted = [name for name in data.responses if name != "y3"]
    request = LogProbsRequest(data.root, "anchors", 4, 10, "initial", "r0-label", "digest", Frozen(small_model_path))
    refs = two.log_probs(data.response_refs, wanted, request)
    rows = read_shards(refs, AnchorLogProbs)
    assert [(ref.table, ref.round, ref.shard) for ref in refs] == [("anchors", 4, 10), ("anchors", 4, 11)]
    assert sorted(row.response_id for row in rows) == sorted(wanted)
    assert {(r.anchor, r.policy, r.numerics, r.round) for r in rows} == {("initial", "r0-label", "learner:float32", 4)}
    model = AutoModelForCausalLM.from_pretrained(small_model_path)
    for row in rows:
        expected = logprobs(model, data.responses[row.response_id]).detach()
        torch.testing.assert_close(torch.tensor(row.logprobs_T), expected, atol=1e-4, rtol=1e-4)
    again = dataclasses.replace(request, round=5, frozen=Frozen("/nowhere"), known=tuple(refs))
    found = read_shards(two.log_probs(data.response_refs, wanted, again), AnchorLogProbs)
    assert {(r.key, tuple(r.logprobs_T)) for r in found} == {(r.key, tuple(r.logprobs_T)) for r in rows}, "not computed"
    with pytest.raises(InfrastructureFailed, match=r"^the weights in /nowhere cannot be read"):
        two.log_probs(data.response_refs, wanted, dataclasses.replace(again, weights="of another policy"))
    present = two.log_probs(data.response_refs, wanted, dataclasses.replace(request, table="now", frozen=None))
    assert [r.response_id for r in read_shards(present, AnchorLogProbs)] == [r.response_id for r in rows]


def test_what_came_with_a_response_from_the_policy_is_not_computed_again(two: LearnerGroup, data: Data) -> None:
    own, foreign, bare = list(data.responses.values())[:3]
    foreign = dataclasses.replace(foreign, policy="data:chosen")
    bare = dataclasses.replace(bare, logprobs_T=[])
    refs = [write_shard(data.root, "mixed", 1, 0, [own, foreign, bare], Response)]
    request = LogProbsRequest(data.root, "needed", 6, 0, "previous", own.policy, "digest", own=True)
    needed = read_shards(two.log_probs(refs, None, request), AnchorLogProbs)
    assert {row.response_id: len(row.logprobs_T) for row in needed} == {
        one.response_id: len(one.tokens_T) for one in (foreign, bare)
    }
    whole = two.log_probs(refs, None, dataclasses.replace(request, table="all", own=False))
    assert len(read_shards(whole, AnchorLogProbs)) == 3


@pytest.mark.parametrize(("ranks", "stage"), [(1, 0), (2, 2), (2, 3)])
def test_a_probe_reads_what_a_plain_forward_pass_gives(
    one: LearnerGroup, two: LearnerGroup, data: Data, small_model_path: str, tmp_path: Path, ranks: int, stage: int
) -> None:
    """On every rank the same, with the head's gradient worked out in parts; and learning goes on as if nothing was."""
    probed, answers, rows = probed_round(data, str(tmp_path))
    wanted, call = (
        settings(small_model_path, ranks=ranks, zero_stage=stage),
        Call(data.example_refs, data.response_refs),
    )
    following = lesson(call)

    def work(host: LearnerActor) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
        from actors import head_gradient

        head_gradient.PART = 500
        learner = LearnerActor(host.rank, host.world, wanted)
        learner.start(("", 0))
        told = learner.diagnose(probed, answers, 20)
        learner.learn(following, 1, 3)
        return told, gathered(learner)

    group = {1: one, 2: two}[ranks]
    (told, weights), *others = inside(group, work)
    assert all(other == told for other, _ in others)
    expected = figures(small_model_path, data, rows)
    assert {name: told[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert set(told) == {*expected, "kl_previous", "ideal_ranking_accuracy"} and told["kl_previous"] > 0
    assert largest_difference(weights, fresh(group, wanted, [call])[1]) == 0


def test_stream_export_and_probe_show_the_trained_weights(
    two: LearnerGroup, data: Data, small_model_path: str, tmp_path: Path
) -> None:
    before = two.read_probe([[1, 2, 3]])
    report = two.learn(lesson(Call(data.example_refs, data.response_refs)), 1, 3)
    assert report.steps == 2

    *groups, manifest = [ray.get(ref) for ref in two.weight_stream("r1-s2")]
    assert isinstance(manifest, Manifest)
    assert manifest.version == "r1-s2"
    sent = {name: tensor for group in groups for name, tensor in group.items()}
    assert tuple(TensorSpec.of(name, tensor) for name, tensor in sent.items()) == manifest.tensors
    assert [len(group) for group in groups] == [1, 12, 12, 2]
    assert torch.equal(sent["lm_head.weight"], sent["model.embed_tokens.weight"])
    assert largest_difference(sent, plain_training(small_model_path, data, settings(small_model_path))[0]) < 1e-6

    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "stale").touch()
    two.export(str(folder), "# A card\n")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert largest_difference(model.state_dict(), sent) == 0
    assert (folder / "README.md").read_text() == "# A card\n"
    assert (folder / "tokenizer.json").read_bytes() == Path(small_model_path, "tokenizer.json").read_bytes()
    assert AutoTokenizer.from_pretrained(folder).eos_token == "<end>"
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]
    assert not (folder / "stale").exists()

    reading = two.read_probe([[1, 2, 3], [9, 8, 7, 6]])
    texts = [response("t", text[:1], text[1:], [], []) for text in ([1, 2, 3], [9, 8, 7, 6])]
    for forced, last, text in zip(reading.forced, reading.cached, texts, strict=True):
        torch.testing.assert_close(torch.tensor(forced), logprobs(model, text).detach(), atol=1e-4, rtol=1e-4)
        assert last == forced[-1]
    assert before.forced[0] != reading.forced[0]


def test_a_ranks_own_error_reaches_the_driver_as_it_is(two: LearnerGroup, data: Data) -> None:
    with pytest.raises(Refused, match="example e0 names response y0, which is in no") as raised:
        two.learn(lesson(Call(data.example_refs, [])), 1, 0)
    assert not isinstance(raised.value, ray.exceptions.RayError)


def test_a_wait_ends(cluster: None) -> None:
    @ray.remote(num_cpus=0)
    def sleep() -> None:
        import time

        time.sleep(30)

    with pytest.raises(InfrastructureFailed, match=r"^moving: 2 of 2 calls not finished within 0\.3 s"):
        wait([sleep.remote(), sleep.remote()], 0.3, "moving")


def test_a_dead_rank_is_one_sentence(cluster: None, small_model_path: str, data: Data) -> None:
    group = LearnerGroup(settings(small_model_path, ranks=1), threads=1)
    ray.kill(group._actors[0])
    with pytest.raises(InfrastructureFailed, match="starting the learners: a process died") as raised:
        group.wait_ready(60)
    assert "\n" not in str(raised.value)
