"""Response shards from a real engine, and who may ask for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.engine import Engine
from actors.rollout import RolloutActor
from loop.errors import InfrastructureFailed, Refused
from loop.records import Prompt, Response, digest_of, seed_of
from loop.sampling import GenerateRequest, Sampling
from loop.shards import read_shard, write_shard

pytestmark = pytest.mark.engine

SAMPLING = Sampling(temperature=1.0, top_p=0.95, top_k=0, min_tokens=0, max_tokens=40, stop=())


@pytest.fixture
def actor(loaded_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> RolloutActor:
    monkeypatch.setattr("actors.rollout.Engine", lambda spec: loaded_engine)
    return RolloutActor(loaded_engine.spec, threads=1, version="v0")


@pytest.fixture
def request_(tmp_path: Path) -> GenerateRequest:
    prompts = [Prompt(f"p{at}", "[]", [10 + at, 11, 12], None, "test") for at in range(4)]
    path = write_shard(tmp_path, "prompts", 3, 0, prompts, Prompt).path
    return GenerateRequest(
        identity="run",
        store=str(tmp_path / "store"),
        table="responses",
        round=3,
        shard=7,
        purpose="train",
        policy="v0",
        prompts_path=path,
        prompt_ids=("p2", "p0"),
        k=3,
        sampling=SAMPLING,
    )


def test_rows_follow_the_request(actor: RolloutActor, request_: GenerateRequest) -> None:
    ref = actor.generate(request_)
    rows = read_shard(ref, Response)
    assert (ref.table, ref.round, ref.shard, ref.rows) == ("responses", 3, 7, 6)
    assert [(row.prompt_id, row.k) for row in rows] == [
        ("p2", 0),
        ("p2", 1),
        ("p2", 2),
        ("p0", 0),
        ("p0", 1),
        ("p0", 2),
    ]
    key = ("run", 3, "train", "v0", "p0", 2)
    assert (rows[-1].response_id, rows[-1].seed) == (digest_of(*key), seed_of(*key))
    assert rows[0].prompt_tokens_T == [12, 11, 12]
    assert {row.policy for row in rows} == {"v0"} and {row.sampling for row in rows} == {SAMPLING.label()}
    assert all(len(row.logprobs_T) == len(row.loss_mask_T) == len(row.tokens_T) > 0 for row in rows)
    assert len({tuple(row.tokens_T) for row in rows}) == 6


def test_stats_are_sums_over_the_rows(actor: RolloutActor, request_: GenerateRequest) -> None:
    ref = actor.generate(replace(request_, k=24))
    rows = read_shard(ref, Response)
    truncated = sum(row.finish_reason == "length" for row in rows)
    assert 0 < truncated < len(rows)
    assert ref.stats == {
        "prompts": 2.0,
        "responses": 48.0,
        "sampled": 48.0,
        "tokens": float(sum(len(row.tokens_T) for row in rows)),
        "truncated": float(truncated),
        "logprob": pytest.approx(sum(sum(row.logprobs_T) for row in rows), abs=1e-3),
    }


def test_a_repeated_request_overwrites_its_shard_with_the_same_rows(
    actor: RolloutActor, request_: GenerateRequest
) -> None:
    first = actor.generate(request_)
    actor.generate(replace(request_, shard=8, prompt_ids=("p1",)))
    assert actor.generate(request_) == first


def test_another_version_than_the_one_served_is_refused(actor: RolloutActor, request_: GenerateRequest) -> None:
    with pytest.raises(InfrastructureFailed, match="asked for version v1 but serves v0"):
        actor.generate(replace(request_, policy="v1"))
    with pytest.raises(InfrastructureFailed, match="asked for version v1 but serves v0"):
        actor.choice_logprobs("v1", [[1, 2]], [3])


def test_a_question_longer_than_the_context_has_no_answer(actor: RolloutActor) -> None:
    answered, too_long = actor.choice_logprobs("v0", [[1, 2], [1] * 500], [3, 4])
    assert answered is not None and len(answered) == 2
    assert too_long is None


def test_an_engine_without_a_version_serves_nothing(
    actor: RolloutActor, loaded_engine: Engine, request_: GenerateRequest
) -> None:
    stale = RolloutActor(loaded_engine.spec, threads=1)
    assert stale.version() is None
    with pytest.raises(InfrastructureFailed, match="serves nothing because it has not been given any version yet"):
        stale.generate(request_)


def test_a_quarantined_engine_serves_nothing_and_says_why(actor: RolloutActor, request_: GenerateRequest) -> None:
    actor.quarantine("its probe disagreed")
    assert actor.version() is None
    with pytest.raises(InfrastructureFailed, match="serves nothing because its probe disagreed"):
        actor.generate(request_)


def test_answers_of_weights_that_vllm_calls_otherwise_are_refused(
    actor: RolloutActor, loaded_engine: Engine, request_: GenerateRequest
) -> None:
    loaded_engine.stamp("v9")
    with pytest.raises(InfrastructureFailed, match="asked of version v0 but vLLM reports v9"):
        actor.generate(request_)


def test_unknown_prompts_are_refused_by_name(actor: RolloutActor, request_: GenerateRequest) -> None:
    with pytest.raises(Refused, match="1 of the prompts asked for, p9 first"):
        actor.generate(replace(request_, prompt_ids=("p1", "p9")))


def test_prompts_are_read_once(actor: RolloutActor, request_: GenerateRequest) -> None:
    actor.generate(request_)
    Path(request_.prompts_path).unlink()
    assert actor.generate(replace(request_, shard=9)).rows == 6
