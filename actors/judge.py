"""The judge actor: turns shards of responses into shards of judgements, verdicts and examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from actors.judge_pairs import compared, competing_shard, judge_pair_shard
from actors.judges.engines import Engines
from actors.pairing import aggregate_shard, pair_shard
from loop.config import AlgorithmConfig, Plan, PlanConfig
from loop.evaluation.contests import contest_questions
from loop.evaluation.splits import EXAMINED, ContestTable
from loop.fleets import Contest, JudgementTable, MetaRequest
from loop.judged_rounds import judged_rows
from loop.judges.calibration import questions
from loop.judges.calibration_pairs import CalibrationPair
from loop.judges.check_rows import check_rows
from loop.judges.judge import Asked, Judge, Reply
from loop.judges.meta import MetaJudge
from loop.plans import next_questions
from loop.recipe import learns_to_judge
from loop.records import CheckRow, Judgement, Prompt, Question, Response, ShardRef, digest_of
from loop.shards import read_shard, read_shards, write_shard
from loop.verdicts import groups_of

EVALUATION = PlanConfig(Plan.pointwise)
"""What is asked about answers to held-out prompts, whatever the recipe asks about those it learns from."""


class Judges(NamedTuple):
    """The judge that training asks, that of evaluation, and the first one as judge of its own judgements, where the
    policy learns from these."""

    training: Judge
    evaluation: Judge
    meta: MetaJudge | None = None


Build = Callable[[Engines], Judges]
"""Makes the judges in the actor's process: models are loaded there."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """The check of a round's judge before it is trusted; `policy` is what the engines serve."""

    round: int
    policy: str
    pairs: tuple[CalibrationPair, ...]
    shard: int = 0


class Bench(NamedTuple):
    """What a judge actor works with: its store, its prompts, the recipe, what builds its judges, and a digest of all
    that they are built from."""

    store: str
    prompts_path: str
    recipe: AlgorithmConfig
    build: Build
    made_of: str

    @property
    def label(self) -> str:
        """Tells one such setting from another."""
        return self.label_of(self.store, self.prompts_path, self.made_of)

    @staticmethod
    def label_of(store: str, prompts_path: str, made_of: str) -> str:
        """See `label`."""
        return digest_of("bench", store, prompts_path, made_of)


class JudgeActor:
    """One judge replica, with the judge of evaluation beside the one that training asks."""

    def __init__(self, store: str, prompts_path: str, recipe: AlgorithmConfig, build: Build, made_of: str = "") -> None:
        self.engines = Engines()
        self.made_of: str | None = None
        self.begin(store, prompts_path, recipe, build, made_of)

    def begin(self, store: str, prompts_path: str, recipe: AlgorithmConfig, build: Build, made_of: str = "") -> None:
        """Work for a run from now on. Judges are built anew unless `made_of` says that it would be the same ones."""
        if made_of != self.made_of:
            self.training_judge, self.evaluation_judge, self.meta_judge = build(self.engines)
        self.store, self.prompts_path, self.recipe, self.made_of = store, prompts_path, recipe, made_of

    def version(self) -> str:
        """The label of what it works with; see `Bench`."""
        return Bench.label_of(self.store, self.prompts_path, self.made_of or "")

    def judge(
        self,
        responses: ShardRef,
        table: JudgementTable,
        policy: str,
        engines: Sequence[Any] = (),
        said: Sequence[ShardRef] = (),
    ) -> ShardRef:
        """Ask every question of the shard's groups and write `table`, which says who is asked what. `engines` are those
        that there are now, for a judge that asks them, and `policy` is what they serve. Questions that the judgements
        in `said` answer are not asked again: those judgements are written once more.

        Statistics: failed, undecided, value (sum over decided judgements, vetoes left out), cut (judgements whose input
        was cut), and of comparisons of a right and a wrong answer those of `loop.judged_rounds`."""
        self.engines.handles = list(engines)
        judge, plan = self._asked(table)
        known, rows = read_shards(said, Judgement), read_shard(responses, Response)
        learnt = table == "judgements" and learns_to_judge(self.recipe, responses.round)
        judgements = self._ask(judge, plan, rows, responses.round, policy, known, learnt)
        stats = _statistics(judgements)
        if table == "judgements":
            stats |= judged_rows(_prompts(self.prompts_path), rows, judgements).sums()
        return write_shard(self.store, table, responses.round, responses.shard, judgements, Judgement, stats)

    def _asked(self, table: JudgementTable) -> tuple[Judge, PlanConfig]:
        """Who is asked what for a table. A strategy learns of each draft alone what it will be worth in its group."""
        if table in EXAMINED:
            return self.evaluation_judge, EVALUATION
        if table == "draft_judgements":
            return self.training_judge, PlanConfig(Plan.pointwise, repeats=self.recipe.plan.repeats)
        return self.training_judge, self.recipe.plan

    def compare(self, contest: Contest, table: ContestTable, policy: str) -> ShardRef:
        """Ask the evaluation judge about answers of two policies to the same prompts, in both orders."""
        judge, answers = self.evaluation_judge, read_shard(contest.answers, Response)
        prompts = {one.prompt_id for one in answers}
        others = [one for one in read_shards(contest.others, Response) if one.prompt_id in prompts]
        texts = {one.response_id: one.text for one in (*answers, *others)}
        shown = [self._shown(q, texts, ()) for q in contest_questions(answers, others)]
        version, replies = judge.version(policy), judge.answer(shown, policy)
        round = contest.answers.round
        rows = [_row(round, one, reply, version) for one, reply in zip(shown, replies, strict=True)]
        return write_shard(self.store, table, round, contest.shard, rows, Judgement, _statistics(rows))

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

    def meta(self, request: MetaRequest, policy: str, engines: Sequence[Any] = ()) -> ShardRef:
        """A step towards pairs of the training judge's judgements, which `policy` wrote. Statistics of judgements as in
        `judge`."""
        meta = self.meta_judge
        assert meta is not None, "this judge's judgements are not learnt from"
        if request.table == "responses":
            return competing_shard(self.store, request, policy, meta.sampling)
        if request.table == "examples":
            return judge_pair_shard(self.store, self.recipe, request)
        self.engines.handles = list(engines)
        asked, round = compared(request, meta, _prompts(self.prompts_path)), request.answers.round
        version, replies = meta.judge.version(policy), meta.judge.answer(asked, policy)
        rows = [_row(round, one, reply, version) for one, reply in zip(asked, replies, strict=True)]
        return write_shard(self.store, request.table, round, request.shard, rows, Judgement, _statistics(rows))

    def usage(self) -> dict[str, float]:
        """What the training judge's answers have cost since this actor began, those as meta-judge included."""
        used = self.training_judge.usage()
        meta = self.meta_judge.judge.usage() if self.meta_judge else {}
        return {name: used.get(name, 0.0) + meta.get(name, 0.0) for name in {**used, **meta}}

    def _ask(
        self,
        judge: Judge,
        plan: PlanConfig,
        rows: Sequence[Response],
        round: int,
        policy: str,
        known: Sequence[Judgement] = (),
        learnt: bool = False,
    ) -> list[Judgement]:
        """Judgements by group, and in a group by the plan's order; with their tokens, where they are `learnt` from.
        What all groups ask next and is not `known` goes to the judge as one batch, until none has a question left."""
        texts, given = {r.response_id: r.text for r in rows}, {_question(one): one for one in known}
        groups = groups_of(rows)
        told: dict[str, list[Judgement]] = {group.prompt_id: [] for group in groups}
        together = {group.prompt_id: tuple(r.text for r in group.responses_K) for group in groups}
        while questions := [q for group in groups for q in next_questions(plan, group, told[group.prompt_id])]:
            shown = [self._shown(q, texts, together[q.prompt_id]) for q in questions if _question(q) not in given]
            if shown:
                version, replies = judge.version(policy), judge.answer(shown, policy)
                told_now = [_row(round, one, reply, version, learnt) for one, reply in zip(shown, replies, strict=True)]
                given |= {_question(one): one for one in told_now}
            for question in questions:
                told[question.prompt_id].append(given[_question(question)])
        return [judgement for group in groups for judgement in told[group.prompt_id]]

    def _shown(self, question: Question, texts: Mapping[str, str], group_K: tuple[str, ...]) -> Asked:
        prompt = _prompts(self.prompts_path)[question.prompt_id]
        shown = tuple(texts[i] for i in question.response_ids)
        return Asked(question, prompt.turns(), shown, prompt.answer, group_K)


def _question(one: Question | Judgement) -> tuple[tuple[str, ...], int]:
    """Which question it is: what is shown in which order, and which repeat."""
    return tuple(one.response_ids), one.sample


@lru_cache(maxsize=4)
def _prompts(path: str) -> dict[str, Prompt]:
    return {p.prompt_id: p for p in read_shard(path, Prompt)}


def _row(round: int, asked: Asked, reply: Reply, version: str, learnt: bool = False) -> Judgement:
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
        asked_T=list(reply.asked_T) if learnt else [],
        tokens_T=list(reply.tokens_T) if learnt else [],
    )


def _statistics(judgements: Sequence[Judgement]) -> dict[str, float]:
    decided = [j.value for j in judgements if j.status == "decided" and j.value is not None]
    return {
        "failed": sum(j.status == "failed" for j in judgements),
        "undecided": sum(j.status == "undecided" for j in judgements),
        "value": sum(value for value in decided if isfinite(value)),
        "cut": sum(j.cut > 0 for j in judgements),
    }
