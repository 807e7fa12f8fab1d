from __future__ import annotations

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from loop.composition import compose
from loop.config import RunConfig
from loop.config_types import DType
from loop.disk import DiskNeed, drafts_of, need, require_room
from loop.errors import Refused
from loop.records import AnchorLogProbs, Judgement, Response
from loop.shards import write_shard
from tests.loop.factories import judgement, response

GB = 10**9
NEED = DiskNeed(3 * GB, 6 * GB, GB // 2, {"exports": "export.keep=3", "checkpoints": "checkpoint.keep=2", "rows": "r"})


@pytest.fixture(scope="module")
def demo() -> RunConfig:
    return compose(["experiment=demo", "gate=off", "rounds=10", "export.keep=3", "checkpoint.keep=2"])


@pytest.fixture
def config(demo: RunConfig) -> RunConfig:
    return copy.deepcopy(demo)


def of(config: RunConfig, weight_bytes: int = GB) -> DiskNeed:
    return need(
        config, weight_bytes, prompts=1000, prompt_tokens=20.0, held_out={"test": 100, "gate": 100, "retention": 0}
    )


def free(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=int(size)))


def test_exports_are_the_kept_ones_the_best_and_the_one_being_written(config: RunConfig) -> None:
    assert of(config).exports == 5 * GB
    config.export.keep = 0
    assert of(config).exports == 10 * GB, "all of them"
    config.export.every = 4
    assert of(config).exports == 3 * GB
    config.rounds, config.export.every, config.export.keep = 2, 1, 3
    assert of(config).exports == 2 * GB, "no more than rounds"


def test_a_learner_checkpoint_holds_weights_moments_and_a_master_copy(config: RunConfig) -> None:
    config.checkpoint.steps = 0
    assert of(config).checkpoints == 3 * (4 + 8) * GB // 4, "float32: 4 bytes of weight, 8 of moments; 2 kept + 1"
    config.model.dtype = DType.bfloat16
    assert of(config).checkpoints == 3 * (2 + 8 + 4) * GB // 2


def test_learner_checkpoints_are_the_kept_ones_one_inside_a_round_and_the_one_being_written(config: RunConfig) -> None:
    each = 3 * GB
    assert of(config).checkpoints == 4 * each
    config.checkpoint.steps = 0
    assert of(config).checkpoints == 3 * each, "none inside a round"
    config.checkpoint.every = 5
    assert of(config).checkpoints == 2 * each, "no more than are made"
    config.checkpoint.every, config.checkpoint.keep = 1, 0
    assert of(config).checkpoints == 10 * each, "all of them"


def test_rows_grow_with_rounds_prompts_answers_and_their_length(config: RunConfig) -> None:
    base = of(config).rows
    assert base < of(config, weight_bytes=50 * GB).rows + 1, "weights are no rows"
    grows = {"rounds": 5, "prompts.per_round": 5, "algorithm.k": 5, "rollout.max_tokens": 3, "evaluate.samples": 1.5}
    for change, factor in grows.items():
        more = copy.deepcopy(config)
        *path, name = change.split(".")
        part = getattr(more, path[0]) if path else more
        setattr(part, name, 10 * getattr(part, name))
        assert of(more).rows > factor * base, change
    config.algorithm.k, config.rollout.max_tokens = 2, 1000
    long = of(config).rows
    config.algorithm.k = 20
    assert of(config).rows > 7 * long, "not only what is asked about them"
    config.ledger.store = "s3://bucket/runs"
    assert of(config).rows == 0, "they lie elsewhere"


def test_others_and_drafts_are_rows_too(config: RunConfig) -> None:
    config.algorithm.k, config.rollout.max_tokens = 4, 1000
    base = of(config).rows
    config.algorithm.others = [{"column": "teacher", "as": "teacher"}]
    given = of(config).rows - base
    config.algorithm.others = [{"policy": "initial", "as": "explored"}]
    assert of(config).rows - base > 1.9 * given, "a sample is a draft first, and then one of its group"
    config.algorithm.others = [{"policy": "mixture", "as": "explored", "draws": 9}]
    assert of(config).rows - base > 9 * given
    assert drafts_of(config.algorithm) == (9, 0)
    config.algorithm.sampler = {"name": "tree", "iterations": 5, "actions": 2}
    assert drafts_of(config.algorithm) == (19, 10)


def test_policies_of_others_and_of_a_look_ahead_are_kept_too(config: RunConfig) -> None:
    config.algorithm.look_ahead = True
    assert of(config).exports == 6 * GB
    config.algorithm.others = [{"policy": "magnet", "as": "opponent"}]
    assert of(config).exports == 7 * GB
    config.algorithm.others = [{"policy": "random_past", "as": "opponent"}]
    assert of(config).exports == 10 * GB


def test_the_estimate_of_rows_is_not_far_from_what_rows_take(config: RunConfig, tmp_path: Path) -> None:
    config.rounds, config.prompts.per_round, config.algorithm.k, config.rollout.max_tokens = 1, 64, 8, 256
    words = ["forwards", "every", "answer", "of", "the", "policy", "is", "sampled", "again", "with", "its", "own"]
    rows = []
    for at in range(64 * 8):
        text = " ".join(f"{words[(at * 7 + n * n) % 12]}{(at * n) % 97}" for n in range(52))[:255]
        rows.append(response(at % 8, text.ljust(255, "."), prompt_id=f"p{at // 8}", id=f"{at:032x}"))
    judged = [judgement([row.response_id], 1.0) for row in rows]
    anchored = [
        AnchorLogProbs(row.response_id, 1, "initial", "r0-s0", "learner", "k" * 32, row.logprobs_T) for row in rows
    ]
    shards = [
        write_shard(tmp_path, "responses", 1, 0, rows, Response),
        write_shard(tmp_path, "judgements", 1, 0, judged, Judgement),
        write_shard(tmp_path, "anchors", 1, 0, anchored, AnchorLogProbs),
    ]
    taken = sum(Path(shard.path).stat().st_size for shard in shards)
    estimated = need(config, GB, prompts=0, prompt_tokens=3.0, held_out={"test": 0, "gate": 0, "retention": 0}).rows
    assert 2 * taken < estimated, "twice, once merged; and log-probs that are not all the same take more"
    tokens = 64 * 8 * 256
    assert 2 * 15 * tokens < estimated < 2 * 20 * tokens, "and it stays near the measured 16 bytes per token"


def test_too_little_room_is_refused_with_the_keys_that_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 4.2 * GB)
    with pytest.raises(Refused) as refused:
        require_room(tmp_path / "runs" / "new", NEED)
    sentence = str(refused.value)
    assert "will need 9.5 GB of disk" in sentence and "4.2 GB are free" in sentence
    assert "3.0 GB for exported policies, 6.0 GB for learner checkpoints, 0.5 GB for rows" in sentence
    assert "lower export.keep=3, checkpoint.keep=2, or put" in sentence, "half a gigabyte of rows is not worth a word"
    assert not (tmp_path / "runs").exists()


def test_enough_room_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 9.5 * GB)
    require_room(tmp_path / "new", NEED)
    free(monkeypatch, 9.5 * GB - 1)
    with pytest.raises(Refused, match="will need"):
        require_room(tmp_path / "new", NEED)


def test_what_a_run_holds_already_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = DiskNeed(3000, 6000, 500, {"exports": "e", "checkpoints": "c", "rows": "r"})
    export = tmp_path / "checkpoints" / "round-001" / "model.safetensors"
    export.parent.mkdir(parents=True)
    export.write_bytes(b"x" * 4000)  # more than expected of one purpose leaves the others as they are
    free(monkeypatch, 6500)
    require_room(tmp_path, small)
    free(monkeypatch, 6499)
    with pytest.raises(Refused, match="learner checkpoints"):
        require_room(tmp_path, small)


def test_the_disk_asked_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    require_room(tmp_path / "a" / "b" / "c", DiskNeed(1, 1, 1, {}))
    with pytest.raises(Refused, match="will need"):
        require_room(tmp_path / "a" / "b", DiskNeed(10**18, 0, 0, {"exports": "e"}))


def test_with_a_gate_its_answers_are_rows_and_the_incumbents_state_is_kept(config: RunConfig) -> None:
    without = of(config)
    config.gate.enabled = True
    assert of(config).rows > without.rows
    assert of(config).exports == without.exports + GB and of(config).checkpoints == without.checkpoints + 3 * GB
    config.checkpoint.every, config.checkpoint.steps = 5, 0
    assert of(config).checkpoints == 4 * 3 * GB, "every candidate may become the incumbent"
