"""Pairing one judged shard."""

from __future__ import annotations

from collections import defaultdict

from loop.config import AlgorithmConfig
from loop.pairing import pair
from loop.recipe import rule_of
from loop.records import Example, Judgement, Response, ShardRef
from loop.shards import read_shard, write_shard
from loop.verdicts import groups_of, is_tied, verdict


def pair_shard(store: str, recipe: AlgorithmConfig, responses: ShardRef, judgements: ShardRef) -> ShardRef:
    """Write the examples of one shard.

    Statistics: groups; ties, groups without an example because the judge saw no difference; unusable, groups without
    one for another reason (failed judgements, or the better answer was cut or the same).
    """
    rule, options = rule_of(recipe)
    by_prompt: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in read_shard(judgements, Judgement):
        by_prompt[judgement.prompt_id].append(judgement)
    examples: list[Example] = []
    ties = unusable = 0
    groups = groups_of(read_shard(responses, Response))
    for group in groups:
        judged = verdict(recipe.plan, group, by_prompt[group.prompt_id])
        found = pair(rule, options, group, judged, responses.round, recipe.truncated_may_win)
        ties += not found and is_tied(judged)
        unusable += not found and not is_tied(judged)
        examples += found
    stats = {"groups": len(groups), "ties": ties, "unusable": unusable}
    return write_shard(store, "examples", responses.round, responses.shard, examples, Example, stats)
