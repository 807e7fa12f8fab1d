"""The judge actor: turns shards of responses into shards of judgements, verdicts and examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any

from actors.judges.engines import Engines
from actors.pairing import aggregate_shard, pair_shard
from loop.config import AlgorithmConfig, Plan, PlanConfig
from loop.judges.calibration import questions
from loop.judges.calibration_pairs import CalibrationPair
from loop.judges.check_rows import check_rows
from loop.judges.judge import Asked, Judge, Reply
from loop.plans import next_questions
from loop.records import CheckRow, Judgement, Prompt, Question, Response, ShardRef, digest_of
from loop.shards import read_shard, write_shard
from loop.verdicts import groups_of

EVALUATION = PlanConfig(Plan.pointwise)
"""What is asked about answers to held-out prompts, whatever the recipe asks about those it learns from."""

Build = Callable[[Engines], tuple[Judge, Judge]]
"""Makes the judge that training asks and that of evaluation, in the actor's process: models are loaded there."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """The check of a round's judge before it is trusted; `policy` is what the engines serve."""

    round: int
    policy: str
    pairs: tuple[CalibrationPair, ...]
    shard: int = 0


class JudgeActor:
    """One judge replica, with the judge of evaluation beside the one that training asks."""

    def __init__(self, store: str, prompts_path: str, recipe: AlgorithmConfig, build: Build) -> None:
        self.store = store
        self.prompts_path = prompts_path
        self.recipe = recipe
        self.engines = Engines()
        self.training_judge, self.evaluation_judge = build(self.engines)

    def judge(self, responses: ShardRef, evaluation: bool, engines: Sequence[Any] = ()) -> ShardRef:
        """Ask every question of the shard's groups; `engines` are those that there are now, for a judge that asks
        them. Statistics: failed, undecided, value (sum over decided judgements, vetoes left out), cut (judgements whose
        input was cut)."""
        self.engines.handles = list(engines)
        rows = read_shard(responses, Response)
        judge, plan = (self.evaluation_judge, EVALUATION) if evaluation else (self.training_judge, self.recipe.plan)
        judgements = self._ask(judge, plan, rows, responses.round)
        table = "evaluation_judgements" if evaluation else "judgements"
        return write_shard(
            self.store, table, responses.round, responses.shard, judgements, Judgement, _statistics(judgements)
        )

    def check(self, request: CheckRequest, engines: Sequence[Any] = ()) -> ShardRef:
        """Ask the training judge questions whose answers are known."""
        self.engines.handles = list(engines)
        asked = questions(request.pairs)
        replies = self.training_judge.answer(asked, request.policy)
        version = self.training_judge.version(request.policy)
        rows = check_rows(request.round, request.pairs, asked, replies, version)
        return write_shard(self.store, "judge_checks", request.round, request.shard, rows, CheckRow)

    def aggregate(self, responses: ShardRef, judgements: ShardRef) -> ShardRef:
        """The verdicts of one judged shard; see `aggregate_shard`."""
        return aggregate_shard(self.store, self.recipe, responses, judgements)

    def pair(self, responses: ShardRef, verdicts: ShardRef) -> ShardRef:
        """The examples of one shard; see `pair_shard`."""
        return pair_shard(self.store, self.recipe, responses, verdicts)

    def usage(self) -> dict[str, float]:
        """What the training judge's answers have cost since this actor began."""
        return self.training_judge.usage()

    def _ask(self, judge: Judge, plan: PlanConfig, rows: Sequence[Response], round: int) -> list[Judgement]:
        """Judgements by group, and in a group by the plan's order. What all groups ask next goes to the judge as one
        batch, until none has a question left."""
        texts, policy = {r.response_id: r.text for r in rows}, rows[0].policy
        version = judge.version(policy)
        groups = groups_of(rows)
        told: dict[str, list[Judgement]] = {group.prompt_id: [] for group in groups}
        together = {group.prompt_id: tuple(r.text for r in group.responses_K) for group in groups}
        while questions := [q for group in groups for q in next_questions(plan, group, told[group.prompt_id])]:
            asked = [self._shown(question, texts, together[question.prompt_id]) for question in questions]
            for one, reply in zip(asked, judge.answer(asked, policy), strict=True):
                told[one.question.prompt_id].append(_row(round, one, reply, version))
        return [judgement for group in groups for judgement in told[group.prompt_id]]

    def _shown(self, question: Question, texts: Mapping[str, str], group_K: tuple[str, ...]) -> Asked:
        prompt = _prompts(self.prompts_path)[question.prompt_id]
        shown = tuple(texts[i] for i in question.response_ids)
        return Asked(question, prompt.turns(), shown, prompt.answer, group_K)


@cache
def _prompts(path: str) -> dict[str, Prompt]:
    return {p.prompt_id: p for p in read_shard(path, Prompt)}


def _row(round: int, asked: Asked, reply: Reply, version: str) -> Judgement:
    question: Question = asked.question
    return Judgement(
        judgement_id=digest_of("judgement", round, version, question.response_ids, question.sample),
        round=round,
        prompt_id=question.prompt_id,
        response_ids=question.response_ids,
        sample=question.sample,
        raw=reply.raw,
        status=reply.status,
        value=reply.value,
        judge=version,
        prompt_digest=digest_of("asked", asked.conversation, asked.texts, asked.answer),
        cut=reply.cut,
    )


def _statistics(judgements: Sequence[Judgement]) -> dict[str, float]:
    decided = [j.value for j in judgements if j.status == "decided" and j.value is not None]
    return {
        "failed": sum(j.status == "failed" for j in judgements),
        "undecided": sum(j.status == "undecided" for j in judgements),
        "value": sum(value for value in decided if isfinite(value)),
        "cut": sum(j.cut > 0 for j in judgements),
    }
