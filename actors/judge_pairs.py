"""Shards of a judge's own judgements: those that compete, and the pairs that come of it."""

from __future__ import annotations

from collections import defaultdict

from loop.config import AlgorithmConfig
from loop.fleets import MetaRequest
from loop.judge_pairs import battles, competing, judge_pairs
from loop.judges.judge import Asked
from loop.judges.meta import MetaJudge
from loop.records import Example, Judgement, Prompt, Question, Response, ShardRef
from loop.shards import read_shard, write_shard
from loop.verdicts import groups_of


def competing_shard(store: str, request: MetaRequest, policy: str, sampling: str) -> ShardRef:
    """Write the judgements that compete, as responses."""
    answers = {one.response_id: one for one in read_shard(request.answers, Response)}
    rows = competing(read_shard(request.judgements, Judgement), answers, policy, sampling)
    return write_shard(store, "responses", request.answers.round, request.shard, rows, Response, {})


def compared(request: MetaRequest, meta: MetaJudge, prompts: dict[str, Prompt]) -> list[Asked]:
    """What the meta-judge is asked about a shard."""
    assert request.competing is not None
    answers = {one.response_id: one.text for one in read_shard(request.answers, Response)}
    judged = {one.judgement_id: one.response_ids for one in read_shard(request.judgements, Judgement)}
    asked: list[Asked] = []
    for group in groups_of(read_shard(request.competing, Response)):
        prompt, texts = prompts[group.prompt_id], {one.response_id: one.text for one in group.responses_K}
        shown = judged[group.responses_K[0].response_id]
        about = Question(prompt.prompt_id, shown)
        once = Asked(about, prompt.turns(), tuple(answers[one] for one in shown), prompt.answer)
        asked += [meta.about(q, once, tuple(texts[one] for one in q.response_ids)) for q in battles(group)]
    return asked


def judge_pair_shard(store: str, recipe: AlgorithmConfig, request: MetaRequest) -> ShardRef:
    """Write the pairs of a shard."""
    assert request.competing is not None and request.compared is not None
    said: dict[str, list[Judgement]] = defaultdict(list)
    for one in read_shard(request.compared, Judgement):
        said[one.prompt_id].append(one)
    round, examples = request.answers.round, list[Example]()
    for group in groups_of(read_shard(request.competing, Response)):
        examples += judge_pairs(recipe.judge_pairs, group, said[group.prompt_id], round)
    return write_shard(store, "examples", round, request.shard, examples, Example, {})
