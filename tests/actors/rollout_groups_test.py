"""Whole groups from a real engine: continuations, revisions, given texts, mixtures, and what stands beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from actors.engine import Engine
from actors.rollout import RolloutActor
from loop.config import Template
from loop.prompts.encoding import encode
from loop.records import AnchorLogProbs, Judgement, Message, Prompt, Response, ShardRef, digest_of, seed_of
from loop.samplers import STRATEGIES, Draw, Options, Strategy, Values
from loop.sampling import GenerateRequest, Mixture, Sampling
from loop.shards import read_shard, write_shard
from loop.verdict import Group
from tests.actors.conftest import CONTEXT
from tests.loop.factories import judgement

pytestmark = pytest.mark.engine

SAMPLING = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_tokens=0, max_tokens=12, stop=())
ASKED: list[Message] = [{"role": "user", "content": "abc"}]
AGAIN: tuple[Message, ...] = (*ASKED, {"role": "assistant", "content": "a"}, {"role": "user", "content": "no"})
SHORT, LONG = "p0", "p1"


@pytest.fixture
def actor(loaded_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> RolloutActor:
    monkeypatch.setattr("actors.rollout.Engine", lambda spec: loaded_engine)
    return RolloutActor(loaded_engine.spec, threads=1, version="v0")


@pytest.fixture
def request_(loaded_engine: Engine, tmp_path: Path) -> GenerateRequest:
    """For a short prompt and one that all but fills the context."""
    tokenizer, prompts = loaded_engine.llm.get_tokenizer(), []
    for name, content in ((SHORT, "abc"), (LONG, "d" * (CONTEXT - 30))):
        turns = [{"role": "user", "content": content}]
        tokens_T = encode(tokenizer, turns, Template.chat)
        prompts.append(Prompt(name, json.dumps(turns), tokens_T, "42", "file", completion="It is 42.", chosen="yes"))
    return GenerateRequest(
        identity="run",
        store=str(tmp_path / "store"),
        table="responses",
        round=3,
        shard=7,
        purpose="train",
        policy="v0",
        prompts_path=write_shard(tmp_path, "prompts", 3, 0, prompts, Prompt).path,
        prompt_ids=(SHORT,),
        k=2,
        sampling=SAMPLING,
    )


def rows(ref: ShardRef, purpose: str | None = None) -> list[Response]:
    return [row for row in read_shard(ref, Response) if purpose in (None, row.purpose)]


def draws(monkeypatch: pytest.MonkeyPatch, *wanted: Draw) -> None:
    """A strategy `odd` that wants these of every group."""
    strategy = Strategy(name="odd", source="here", propose=lambda *_: list(wanted))
    monkeypatch.setitem(STRATEGIES, "odd", strategy)


def forced(actor: RolloutActor, row: Response) -> list[float]:
    """The log-probs of a row's tokens behind its prompt, read by a forward pass."""
    (logprobs_T,) = actor.text_logprobs("v0", [[*row.prompt_tokens_T, *row.tokens_T]])
    return logprobs_T[len(row.prompt_tokens_T) - 1 :]


def test_a_given_text_has_the_tokens_that_the_policy_would_have_sampled(
    actor: RolloutActor, loaded_engine: Engine, request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = actor.generate(replace(request_, k=300, sampling=replace(SAMPLING, max_tokens=2)))
    end = loaded_engine.llm.get_tokenizer().eos_token_id
    sampled = {row.text: row for row in rows(ref) if row.text.isascii() and row.text and row.tokens_T[-1] < 259}
    plain = {text: row for text, row in sampled.items() if len(row.tokens_T) == len(text) + (row.tokens_T[-1] == end)}
    assert len(plain) > 5, "among so many some are characters of one byte"
    draws(monkeypatch, *(Draw(purpose="node", number=at, text=text) for at, text in enumerate(plain)))
    for given, row in zip(rows(actor.generate(replace(request_, strategy="odd"))), plain.values(), strict=True):
        assert (given.text, given.prompt_tokens_T) == (row.text, row.prompt_tokens_T)
        assert given.tokens_T == [*(token for token in row.tokens_T if token != end), end]


def test_columns_become_answers_for_their_purpose(actor: RolloutActor, request_: GenerateRequest) -> None:
    asked = replace(request_, given=(("completion", "chosen"), ("answer", "opponent"), ("chosen", "opponent")))
    ref = actor.generate(asked)
    expected = [*(("train", k) for k in (0, 1)), *(("opponent", k) for k in (0, 1)), ("chosen", 0)]
    assert [(row.purpose, row.k) for row in rows(ref)] == expected
    first, second, chosen = rows(ref)[2:]
    assert [row.text for row in (first, second, chosen)] == ["42", "yes", "It is 42."]
    assert (chosen.policy, chosen.finish_reason, chosen.logprobs_T) == ("data:completion", "end", [])
    assert chosen.response_id == digest_of("run", 3, "chosen", "data:completion", SHORT, 0)
    assert chosen.prompt_tokens_T == rows(ref)[0].prompt_tokens_T
    assert chosen.tokens_T == actor._engine.llm.get_tokenizer()("It is 42.<|im_end|>")["input_ids"]
    own = rows(ref, "train")
    assert (ref.stats["responses"], ref.stats["sampled"]) == (5.0, 2.0)
    assert ref.stats["tokens"] == sum(len(row.tokens_T) for row in own)
    assert ref.stats["logprob"] == pytest.approx(sum(sum(row.logprobs_T) for row in own), abs=1e-4)


def test_columns_belong_to_the_last_step_alone(actor: RolloutActor, request_: GenerateRequest) -> None:
    drafts = actor.generate(replace(request_, given=(("chosen", "chosen"),), whole=False, table="drafts"))
    assert (drafts.table, {row.purpose for row in rows(drafts)}) == ("drafts", {"train"})


def test_a_base_models_text_is_followed_by_the_end_token(actor: RolloutActor, request_: GenerateRequest) -> None:
    asked = replace(request_, given=(("completion", "chosen"),), template=Template.none)
    (chosen,) = rows(actor.generate(asked), "chosen")
    assert chosen.tokens_T == actor._engine.llm.get_tokenizer()("It is 42.<|im_end|>")["input_ids"]


def test_a_continuation_has_the_log_probs_of_a_forward_pass_over_the_whole(
    actor: RolloutActor, request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = rows(actor.generate(request_))[0]
    begun_T, begun = tuple(root.tokens_T[:4]), "begun"
    draws(
        monkeypatch,
        *(Draw(purpose="node", number=at, prefix_T=begun_T, prefix=begun, parent=root.response_id) for at in (0, 1)),
        Draw(purpose="node", number=2, prefix_T=begun_T, prefix=begun, answers_prompt=True),
    )
    first, second, whole = rows(actor.generate(replace(request_, strategy="odd")))
    for row in (first, second):
        assert row.prompt_tokens_T == [*root.prompt_tokens_T, *begun_T]
        assert row.logprobs_T == pytest.approx(forced(actor, row), abs=1e-4)
        assert row.text.startswith(begun) and row.parent == root.response_id
    assert first.tokens_T != second.tokens_T
    assert (whole.prompt_tokens_T, whole.tokens_T[:4]) == (root.prompt_tokens_T, list(begun_T))
    assert whole.logprobs_T == [] and len(whole.tokens_T) > 4


def test_a_revision_is_sampled_behind_its_conversation_and_stored_as_told(
    actor: RolloutActor, request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws(
        monkeypatch,
        Draw(purpose="revision", number=0, turns=AGAIN),
        Draw(purpose="revision", number=1, turns=AGAIN, answers_prompt=True, parent="first"),
        Draw(purpose="revision", number=2, turns=AGAIN, text="better"),
    )
    behind, generate = [], actor._engine.generate
    monkeypatch.setattr(
        actor._engine, "generate", lambda given_T, *of: behind.extend(given_T) or generate(given_T, *of)
    )
    there, answering, given = rows(actor.generate(replace(request_, strategy="odd")))
    tokenizer = actor._engine.llm.get_tokenizer()
    behind_T = encode(tokenizer, list(AGAIN), Template.chat)
    assert there.prompt_tokens_T == given.prompt_tokens_T == behind_T
    assert there.logprobs_T == pytest.approx(forced(actor, there), abs=1e-4)
    assert answering.prompt_tokens_T == encode(tokenizer, ASKED, Template.chat)
    assert (answering.logprobs_T, answering.parent) == ([], "first")
    assert behind == [behind_T, behind_T], "what the engine was given"
    assert (given.text, given.policy) == ("better", "v0")


def test_a_draws_own_sampling_is_what_is_used(
    actor: RolloutActor, request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws(
        monkeypatch,
        *(Draw(purpose="node", number=at, max_tokens=3, temperature=1e-3) for at in range(4)),
        *(Draw(purpose="train", number=at) for at in range(4)),
        *(Draw(purpose="train", number=at, stop=("a", "e", "i", "o")) for at in range(4, 68)),
    )
    ref = actor.generate(replace(request_, strategy="odd"))
    nodes, plain, stopping = rows(ref, "node"), rows(ref, "train")[:4], rows(ref, "train")[4:]
    assert len({tuple(row.tokens_T) for row in nodes}) == 1 and max(len(row.tokens_T) for row in nodes) <= 3
    assert len({tuple(row.tokens_T) for row in plain}) == 4
    assert {row.sampling for row in nodes} == {replace(SAMPLING, max_tokens=3, temperature=1e-3).label()}
    assert {row.sampling for row in plain} == {SAMPLING.label()}
    assert any(row.finish_reason == "stop" for row in stopping)


def test_what_has_no_room_is_left_out_and_counted(
    actor: RolloutActor, request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws(
        monkeypatch,
        Draw(purpose="train", number=0),
        Draw(purpose="node", number=0, prefix_T=(9,) * 20, prefix="e"),
        Draw(purpose="node", number=1, text="z" * 30),
    )
    ref = actor.generate(replace(request_, strategy="odd", prompt_ids=(LONG, SHORT)))
    found = [(row.prompt_id, row.purpose) for row in rows(ref)]
    assert found == [(LONG, "train"), (SHORT, "train"), (SHORT, "node"), (SHORT, "node")]
    assert ref.stats["too_long"] == 2


def test_given_sides_go_together_or_not_at_all(actor: RolloutActor, request_: GenerateRequest, tmp_path: Path) -> None:
    prompts = [replace(prompt, rejected="z" * 30) for prompt in read_shard(request_.prompts_path, Prompt)]
    path = write_shard(tmp_path, "sides", 3, 0, prompts, Prompt).path
    given = (("chosen", "chosen"), ("rejected", "rejected"))
    ref = actor.generate(replace(request_, prompts_path=path, prompt_ids=(LONG, SHORT), given=given, k=1))
    found = [(row.prompt_id, row.purpose) for row in rows(ref)]
    assert found == [(LONG, "train"), (SHORT, "train"), (SHORT, "chosen"), (SHORT, "rejected")]
    assert ref.stats["too_long"] == 2, "the one that fits is left out with the one that does not"


def test_a_step_that_proposes_nothing_asks_nothing(
    actor: RolloutActor, request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws(monkeypatch)
    ref = actor.generate(replace(request_, strategy="odd"))
    assert (ref.rows, ref.stats["tokens"], rows(ref)) == (0, 0.0, [])


def test_a_strategy_that_numbers_two_alike_is_a_fault(
    actor: RolloutActor, request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = actor.generate(replace(request_, table="drafts", whole=False))
    draws(monkeypatch, Draw(purpose="train", number=1))
    for whole in (True, False):
        with pytest.raises(ValueError, match="2 responses of strategy odd to prompt p0 are train 1"):
            actor.generate(replace(request_, strategy="odd", beside=(drafts,), whole=whole))


def drafted(actor: RolloutActor, asked: GenerateRequest, shard: int, purpose: str, k: int, first: int = 0) -> ShardRef:
    options = {"first": first}
    asked = replace(asked, table="drafts", shard=shard, purpose=purpose, k=k, whole=False, options=options)  # type: ignore[arg-type]
    return actor.generate(asked)


def weighed(folder: Path, draws: list[Response], favourite: str) -> ShardRef:
    """Log-probs under another policy, which likes one of the draws far better than the others."""
    logprobs = [[value + 9.0 * (row.response_id == favourite) for value in row.logprobs_T] for row in draws]
    made = [
        AnchorLogProbs(row.response_id, 3, "initial", "r0-s0", "n", "k", its)
        for row, its in zip(draws, logprobs, strict=True)
    ]
    return write_shard(folder, "draft_anchors", 3, 0, made, AnchorLogProbs)


def test_a_mixtures_samples_are_chosen_draws_under_its_purpose(
    actor: RolloutActor, request_: GenerateRequest, tmp_path: Path
) -> None:
    drawn = drafted(actor, request_, 0, "draw", 6)
    favourite = rows(drawn)[4]
    other = weighed(tmp_path, rows(drawn), favourite.response_id)
    mixture = Mixture("opponent", 2, 0, 6, 1.0, "r0-s0", (other,))
    ref = actor.generate(asked := replace(request_, beside=(drawn,), mixtures=(mixture,)))
    assert [(row.purpose, row.k) for row in rows(ref)] == [("train", 0), ("train", 1), ("opponent", 0), ("opponent", 1)]
    for number, row in enumerate(rows(ref, "opponent")):
        id = digest_of("run", 3, "opponent", "v0", SHORT, number)
        assert row == replace(favourite, purpose="opponent", k=number, response_id=id)
    assert ref.stats["mixed"] == 1 and 1 <= ref.stats["ess"] < 1.1
    assert actor.generate(asked) == ref
    even = actor.generate(replace(request_, beside=(drawn,), mixtures=(replace(mixture, weight=0.0),)))
    assert even.stats["ess"] == pytest.approx(6)


def test_a_whole_group_is_what_stands_beside_what_is_given_and_what_is_new(
    actor: RolloutActor, request_: GenerateRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = replace(request_, prompt_ids=(LONG, SHORT))
    opponents = drafted(actor, two, 0, "opponent", 2)
    drawn = drafted(actor, two, 2, "draw", 3)
    nodes = drafted(actor, two, 4, "node", 2)
    best = {row.prompt_id: row.response_id for row in rows(nodes) if row.k == 1}
    said = [judgement([row.response_id], float(row.k)) for row in rows(nodes)] + [judgement(["other"], 9.0)]
    scores = write_shard(tmp_path, "draft_judgements", 3, 4, said, Judgement)
    mixture = Mixture("opponent", 1, 0, 3, 1.0, "r0-s0", (weighed(tmp_path, rows(drawn), ""),))

    def grow(prompt: Prompt, group: Group, values: Values, options: Options, step: int, k: int) -> list[Draw]:
        assert (step, k, options) == (2, 2, {"depth": 4})
        assert [row.purpose for row in group.responses_K] == ["opponent"] * 2 + ["draw"] * 3 + ["node"] * 2
        known = {one: value for one, value in values.items() if value is not None}
        assert len(values) == 7 and len(known) == 2
        (node,) = (row for row in group.responses_K if row.response_id == max(known, key=lambda one: known[one]))
        own_T = tuple(node.tokens_T[:2])
        return [Draw(purpose="node", number=2, prefix_T=own_T, prefix=node.text, parent=node.response_id)]

    monkeypatch.setitem(STRATEGIES, "grow", Strategy(name="grow", source="here", propose=grow, options={"depth": 3}))
    asked = replace(
        two,
        strategy="grow",
        options={"depth": 4},
        step=2,
        beside=(opponents, drawn, nodes),
        said=(scores,),
        given=(("chosen", "opponent"),),
        mixtures=(mixture,),
    )
    ref = actor.generate(asked)
    expected = [*(("opponent", number) for number in range(4)), *(("node", number) for number in range(3))]
    found = [(row.prompt_id, row.purpose, row.k) for row in rows(ref)]
    assert found == [(prompt, *one) for prompt in (LONG, SHORT) for one in expected]
    there = {row.response_id: row for part in (opponents, nodes) for row in rows(part)}
    kept = [row for row in rows(ref) if row.response_id in there]
    assert len(kept) == 8 and all(row == there[row.response_id] for row in kept)
    for row in rows(ref, "node"):
        assert row.parent == (best[row.prompt_id] if row.k == 2 else None)
    assert [row.policy for row in rows(ref, "opponent")] == ["v0", "v0", "v0", "data:chosen"] * 2
    key = ("run", 3, "node", "v0", SHORT, 2)
    assert (rows(ref)[-1].response_id, rows(ref)[-1].seed) == (digest_of(*key), seed_of(*key))
    assert (ref.stats["prompts"], ref.stats["responses"], ref.stats["sampled"]) == (2.0, 14.0, 12.0)
    assert actor.generate(asked) == ref


def test_drafts_hold_only_what_is_new(actor: RolloutActor, request_: GenerateRequest) -> None:
    first = drafted(actor, request_, 0, "opponent", 2)
    second = drafted(actor, replace(request_, beside=(first,)), 1, "opponent", 2, first=2)
    assert [row.k for row in rows(second)] == [2, 3]
    assert len({row.response_id for part in (first, second) for row in rows(part)}) == 4
