from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from actors.judge import JudgeActor, Judges
from loop.config import AlgorithmConfig, Plan, PlanConfig
from loop.judges.judge import Asked, Reply
from loop.records import Example, Judgement, Prompt, Response, ShardRef
from loop.shards import read_shard, write_shard
from tests.loop.factories import response

K = 8
PROMPTS = ("b", "a", "c")


class FakeJudge:
    """Prefers the later answer; remembers its batches. It fails to compare the answers whose texts are given."""

    def __init__(self, fails: frozenset[str] = frozenset()) -> None:
        self.fails = fails
        self.batches: list[list[Asked]] = []

    def version(self, policy: str) -> str:
        return f"fake-{policy}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        self.batches.append(list(asked))
        return [self._reply(*one.texts) for one in asked]

    def usage(self) -> dict[str, float]:
        return {"questions": float(sum(map(len, self.batches)))}

    def _reply(self, first: str, second: str = "") -> Reply:
        if self.fails == {first, second}:
            return Reply("?", "failed", None)
        return Reply("!", "decided", float(first > second))


def actor(folder: Path, plan: PlanConfig, training: FakeJudge, evaluation: FakeJudge | None = None) -> JudgeActor:
    prompts = [Prompt(p, '[{"content":"q","role":"user"}]', [1], "a", "s") for p in PROMPTS]
    path = write_shard(folder, "prompts", 0, 0, prompts, Prompt).path
    recipe = AlgorithmConfig("r", K, plan=plan, pairing={"name": "best_worst"}, loss={"name": "dpo"})
    return JudgeActor(str(folder), path, recipe, lambda _: Judges(training, evaluation or FakeJudge()))


def responses(folder: Path) -> ShardRef:
    rows = [response(k, prompt_id=p, id=f"{p}{k}") for p in PROMPTS for k in range(K)]
    return write_shard(folder, "responses", 1, 3, rows, Response)


def judgements(ref: ShardRef) -> list[Judgement]:
    return read_shard(ref, Judgement)


def test_what_all_groups_ask_next_is_one_batch(tmp_path: Path) -> None:
    judge = FakeJudge()
    ref = actor(tmp_path, PlanConfig(Plan.tournament), judge).judge(responses(tmp_path), "judgements", "r0-s0")
    assert [len(batch) for batch in judge.batches] == [3 * 2 * 4, 3 * 2 * 4, 3 * 2 * 2, 3 * 2 * 1]
    assert ref.rows == 3 * 2 * 11
    assert {one.texts for one in judge.batches[-1]} == {("answer 0", "answer 7"), ("answer 7", "answer 0")}


def test_judgements_stand_by_group_and_have_the_same_ids_however_they_came(tmp_path: Path) -> None:
    plan = PlanConfig(Plan.tournament)
    answers = responses(tmp_path)
    whole = judgements(actor(tmp_path, plan, FakeJudge()).judge(answers, "judgements", "r0-s0"))
    assert [j.prompt_id for j in whole] == sorted((j.prompt_id for j in whole), key=PROMPTS.index)
    assert len({j.judgement_id for j in whole}) == len(whole)
    apart: list[Judgement] = []
    for shard, prompt in enumerate(PROMPTS):
        rows = [r for r in read_shard(answers, Response) if r.prompt_id == prompt]
        ref = write_shard(tmp_path, "responses", 1, 10 + shard, rows, Response)
        apart += judgements(actor(tmp_path, plan, FakeJudge()).judge(ref, "judgements", "r0-s0"))
    assert apart == whole


def test_a_group_that_is_done_leaves_the_others_going(tmp_path: Path) -> None:
    judge = FakeJudge(frozenset({"answer 0", "answer 1"}))
    rows = [
        replace(r, text=r.text + r.prompt_id * (r.prompt_id != "b")) for r in read_shard(responses(tmp_path), Response)
    ]
    ref = write_shard(tmp_path, "responses", 1, 4, rows, Response)
    told = actor(tmp_path, PlanConfig(Plan.tournament), judge).judge(ref, "judgements", "r0-s0")
    count = [sum(j.prompt_id == p for j in judgements(told)) for p in PROMPTS]
    assert count == [2 * 4, 2 * 11, 2 * 11], "a void tournament asks no more"
    assert told.stats["failed"] == 2


def test_evaluation_asks_of_every_answer_alone_whatever_the_recipe_compares(tmp_path: Path) -> None:
    training, evaluation = FakeJudge(), FakeJudge()
    plan = PlanConfig(Plan.all_pairs, repeats=2)
    ref = actor(tmp_path, plan, training, evaluation).judge(responses(tmp_path), "evaluation_judgements", "r0-s0")
    assert not training.batches
    assert [one.question.response_ids for batch in evaluation.batches for one in batch] == [
        [f"{p}{k}"] for p in PROMPTS for k in range(K)
    ]
    assert (ref.table, ref.rows) == ("evaluation_judgements", 3 * K)


def test_a_judged_shard_is_paired(tmp_path: Path) -> None:
    judge = FakeJudge()
    one = actor(tmp_path, PlanConfig(Plan.pointwise), judge)
    answers = responses(tmp_path)
    told = one.aggregate(answers, one.judge(answers, "judgements", "r0-s0"))
    assert (told.table, told.rows, told.stats) == ("verdicts", 3 * K, {"holes": 0})
    paired = one.pair(answers, told)
    assert paired.stats == {"groups": 3, "ties": 3, "unusable": 0}
    with_one_wrong = replace(answers, shard=5)
    failing = judgements(one.judge(with_one_wrong, "judgements", "r0-s0"))
    failing = [replace(j, value=0.0 if j.response_ids[0] == "a4" else j.value) for j in failing]
    failing = [replace(j, status="failed", value=None) if j.prompt_id == "c" else j for j in failing]
    judged = write_shard(tmp_path, "judgements", 1, 6, failing, Judgement)
    told = one.aggregate(answers, judged)
    assert told.stats == {"holes": K}
    paired = one.pair(answers, told)
    (example,) = read_shard(paired, Example)
    assert example.by_role("rejected") == ["a4"]
    assert paired.stats == {"groups": 3, "ties": 1, "unusable": 1}


@pytest.mark.parametrize("repeats", [1, 3])
def test_repeats_have_ids_of_their_own(tmp_path: Path, repeats: int) -> None:
    ref = actor(tmp_path, PlanConfig(Plan.against_baseline, repeats=repeats), FakeJudge()).judge(
        responses(tmp_path), "judgements", "r0-s0"
    )
    rows = judgements(ref)
    assert len({j.judgement_id for j in rows}) == len(rows) == 3 * 2 * 7 * repeats


def drafts(one: JudgeActor, folder: Path, told: ShardRef | None = None) -> ShardRef:
    """Judgements of some of the answers to two prompts, made while they were drafts."""
    rows = [r for r in read_shard(told or responses(folder), Response) if r.prompt_id != "c" and r.k < 3]
    return one.judge(write_shard(folder, "drafts", 1, 8, rows, Response), "draft_judgements", "r0-s0")


def test_drafts_are_judged_alone_and_as_often_as_the_recipe_asks(tmp_path: Path) -> None:
    training, evaluation = FakeJudge(), FakeJudge()
    ref = drafts(actor(tmp_path, PlanConfig(Plan.all_pairs, repeats=2), training, evaluation), tmp_path)
    assert (ref.table, ref.shard, ref.rows) == ("draft_judgements", 8, 2 * 3 * 2)
    assert not evaluation.batches and len(training.batches) == 1
    assert {(tuple(j.response_ids), j.sample) for j in judgements(ref)} == {
        ((f"{p}{k}",), sample) for p in ("a", "b") for k in range(3) for sample in range(2)
    }


def test_what_was_said_of_drafts_is_not_asked_again(tmp_path: Path) -> None:
    judge, fresh = FakeJudge(), FakeJudge()
    plan = PlanConfig(Plan.pointwise, repeats=2)
    said = drafts(one := actor(tmp_path, plan, judge), tmp_path)
    rows = judgements(said)
    told = [replace(j, value=0.125) if j.response_ids == ["a1"] else j for j in rows]
    told[0] = replace(told[0], status="failed", value=None)
    changed = write_shard(tmp_path, "draft_judgements", 1, 9, told, Judgement)
    judge.batches.clear()
    ref = one.judge(responses(tmp_path), "judgements", "r0-s0", said=[changed])
    assert sum(map(len, judge.batches)) == 2 * (3 * K - 2 * 3)
    assert not {"a0", "b2"} & {i for batch in judge.batches for q in batch for i in q.question.response_ids}
    whole = judgements(ref)
    by_id = {j.judgement_id: j for j in told}
    anew = judgements(actor(tmp_path, plan, fresh).judge(responses(tmp_path), "judgements", "r0-s0"))
    assert whole == [by_id.get(j.judgement_id, j) for j in anew]
    assert ref.stats["failed"] == 1


def test_what_was_said_of_drafts_alone_answers_no_comparison(tmp_path: Path) -> None:
    judge = FakeJudge()
    one = actor(tmp_path, PlanConfig(Plan.all_pairs), judge)
    said = drafts(one, tmp_path)
    judge.batches.clear()
    ref = one.judge(responses(tmp_path), "judgements", "r0-s0", said=[said])
    assert ref.rows == sum(map(len, judge.batches)) == 3 * K * (K - 1)


def test_a_shard_about_which_all_is_said_asks_nothing(tmp_path: Path) -> None:
    judge = FakeJudge()
    one = actor(tmp_path, PlanConfig(Plan.pointwise), judge)
    rows = [r for r in read_shard(responses(tmp_path), Response) if r.prompt_id != "c" and r.k < 3]
    ref = write_shard(tmp_path, "responses", 1, 6, rows, Response)
    said = drafts(one, tmp_path)
    judge.batches.clear()
    assert judgements(one.judge(ref, "judgements", "r0-s0", said=[said])) == judgements(said)
    assert not judge.batches


def test_a_plan_that_asks_nothing_gives_an_empty_shard(tmp_path: Path) -> None:
    judge = FakeJudge()
    ref = actor(tmp_path, PlanConfig(Plan.none), judge).judge(responses(tmp_path), "judgements", "r0-s0")
    assert (ref.rows, judgements(ref), judge.batches) == (0, [], [])
    nobody = write_shard(tmp_path, "responses", 1, 7, [], Response)
    assert actor(tmp_path, PlanConfig(Plan.pointwise), judge).judge(nobody, "judgements", "r0-s0").rows == 0


def test_the_judge_is_told_which_policy_the_engines_serve(tmp_path: Path) -> None:
    rows = [replace(r, policy="data:chosen") for r in read_shard(responses(tmp_path), Response)]
    ref = write_shard(tmp_path, "responses", 1, 5, rows, Response)
    told = actor(tmp_path, PlanConfig(Plan.pointwise), FakeJudge()).judge(ref, "judgements", "r4-s9")
    assert {j.judge for j in judgements(told)} == {"fake-r4-s9"}
