"""Pairing one judged shard."""

from __future__ import annotations

from collections import defaultdict

from loop.config import AlgorithmConfig
from loop.judging import groups_of, verdict
from loop.pairing import pair
from loop.records import Example, Judgement, Response, ShardRef
from loop.shards import read_shard, write_shard


def pair_shard(store: str, recipe: AlgorithmConfig, responses: ShardRef, judgements: ShardRef) -> ShardRef:
    """Write the examples of one shard. Statistics: groups; ties, groups that gave nothing though no judgement failed;
    holes, groups that gave nothing and had failed judgements."""
    by_prompt: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in read_shard(judgements, Judgement):
        by_prompt[judgement.prompt_id].append(judgement)
    examples: list[Example] = []
    ties = holes = 0
    groups = groups_of(read_shard(responses, Response))
    for group in groups:
        judged = by_prompt[group.prompt_id]
        found = pair(recipe, group, verdict(recipe.plan, group, judged), responses.round)
        failed = any(j.status == "failed" for j in judged)
        ties += not found and not failed
        holes += not found and failed
        examples += found
    stats = {"groups": len(groups), "ties": ties, "holes": holes}
    return write_shard(store, "examples", responses.round, responses.shard, examples, Example, stats)
