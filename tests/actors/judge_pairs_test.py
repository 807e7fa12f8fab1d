"""A judge actor's steps from judgements to pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from actors.judge import JudgeActor, Judges
from loop.config import AlgorithmConfig, JudgePairsConfig, Plan, PlanConfig
from loop.fleets import MetaRequest
from loop.judges.judge import Asked, Reply
from loop.judges.meta import MetaJudge
from loop.judges.template import JudgeTemplate
from loop.records import Example, Judgement, Prompt, Response, ShardRef
from loop.shards import read_shard, write_shard
from tests.loop.factories import response

TEMPLATE = JudgeTemplate("t", 1, "test", "score", "{instruction} | {answer}", scores=(0, 1, 2))
PROMPTS = {"p": "how?", "q": "why?"}


class Writer:
    """Scores what ends in `?` by the number of the repeat, everything else with 2."""

    def version(self, policy: str) -> str:
        return f"writer-{policy}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        scores = [min(one.question.sample, 1) if one.texts[0].endswith("?") else 2 for one in asked]
        return [
            Reply(f"Score: {score}", "decided", float(score), asked_T=(7, len(one.texts[0])), tokens_T=(score, 9))
            for one, score in zip(asked, scores, strict=True)
        ]

    def usage(self) -> dict[str, float]:
        return {"questions": 1.0, "seconds": 1.0}


class Comparer(Writer):
    """Finds the larger score better, but cannot compare judgements of what was asked of `q`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def version(self, policy: str) -> str:
        return f"meta-{policy}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        self.asked += asked
        return [
            Reply("?", "failed", None)
            if one.question.prompt_id == "q"
            else Reply("!", "decided", float(one.texts[0] > one.texts[1]))
            for one in asked
        ]

    def usage(self) -> dict[str, float]:
        return {"questions": 4.0}


def actor(folder: Path, comparer: Comparer, rounds: int = 1) -> JudgeActor:
    prompts = [Prompt(id, f'[{{"content":"{text}","role":"user"}}]', [1], "a", "s") for id, text in PROMPTS.items()]
    path = write_shard(folder, "prompts", 0, 0, prompts, Prompt).path
    recipe = AlgorithmConfig("r", 2, plan=PlanConfig(Plan.pointwise, repeats=3), judge_pairs=JudgePairsConfig(rounds))
    meta = MetaJudge(comparer, TEMPLATE, (), '{"temperature": 0.8}')
    return JudgeActor(str(folder), path, recipe, lambda _: Judges(Writer(), Writer(), meta))


def answers(folder: Path) -> ShardRef:
    rows = [response(k, text, prompt_id=p, id=f"{p}{k}") for p in PROMPTS for k, text in enumerate(("sure", "is it?"))]
    return write_shard(folder, "responses", 1, 3, rows, Response)


def test_judgements_of_rounds_that_learn_from_them_are_kept_with_their_tokens(tmp_path: Path) -> None:
    shown = answers(tmp_path)
    for rounds, known in ((1, True), (0, False)):
        told = actor(tmp_path / str(rounds), Comparer(), rounds).judge(shown, "judgements", "r0-s0")
        rows = read_shard(told, Judgement)
        assert {bool(one.tokens_T) for one in rows} == {bool(one.asked_T) for one in rows} == {known}
    scored = actor(tmp_path, Comparer()).judge(shown, "evaluation_judgements", "r0-s0")
    assert not any(one.tokens_T for one in read_shard(scored, Judgement)), "nobody learns from these"


def test_judgements_compete_are_compared_and_paired(tmp_path: Path) -> None:
    comparer = Comparer()
    one, shown = actor(tmp_path, comparer), answers(tmp_path)
    asked = MetaRequest("responses", shown, one.judge(shown, "judgements", "r0-s0"), shard=8)

    competing = one.meta(asked, "r0-s0")
    rows = read_shard(competing, Response)
    assert (competing.table, competing.round, competing.shard, competing.stats) == ("responses", 1, 8, {})
    assert [(row.prompt_id, row.parent, row.text, row.prompt_tokens_T, row.tokens_T) for row in rows] == [
        (p, f"{p}1", f"Score: {score}", [7, len("is it?")], [score, 9]) for p in PROMPTS for score in (0, 1)
    ]
    assert {(row.purpose, row.policy, row.sampling) for row in rows} == {("judgement", "r0-s0", '{"temperature": 0.8}')}

    compared = one.meta(asked := replace(asked, table="judgements", competing=competing), "r0-s0")
    assert (compared.table, compared.shard, compared.rows, compared.stats["failed"]) == ("judgements", 8, 4, 2)
    assert {row.judge for row in read_shard(compared, Judgement)} == {"meta-r0-s0"}
    assert [(a.conversation[0]["content"], a.texts) for a in comparer.asked] == [
        (f"{text} | is it?", order)
        for text in PROMPTS.values()
        for order in (("Score: 0", "Score: 1"), ("Score: 1", "Score: 0"))
    ]

    paired = one.meta(replace(asked, table="examples", compared=compared), "r0-s0")
    (pair,) = read_shard(paired, Example)
    assert (paired.table, paired.shard) == ("examples", 8)
    worse, better = (row.response_id for row in rows if row.prompt_id == "p")
    assert (pair.prompt_id, pair.response_ids) == ("p", [better, worse])


def test_what_comparing_judgements_costs_is_told_with_what_judging_costs(tmp_path: Path) -> None:
    assert actor(tmp_path, Comparer()).usage() == {"questions": 5.0, "seconds": 1.0}
