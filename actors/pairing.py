"""From judgements to verdicts to examples, for one shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, TypeVar

from loop.config import AlgorithmConfig, Control
from loop.controls import shuffled
from loop.pairing import pair
from loop.recipe import rule_of
from loop.records import Example, Judgement, Response, ShardRef, VerdictRow
from loop.shards import read_shard, write_shard
from loop.verdicts import groups_of, is_tied, rows_of, verdict, verdict_of


def aggregate_shard(store: str, recipe: AlgorithmConfig, responses: ShardRef, judgements: ShardRef) -> ShardRef:
    """Write the verdicts of one shard, in a control run those that its groups are given instead. Statistics: holes,
    numbers that are not known."""
    given = _by_prompt(read_shard(judgements, Judgement))
    groups = groups_of(read_shard(responses, Response))
    said = [verdict(recipe.plan, group, given[group.prompt_id]) for group in groups]
    if recipe.control is Control.shuffled:
        said = shuffled(groups, said)
    rows = [row for group, one in zip(groups, said, strict=True) for row in rows_of(one, group, responses.round)]
    stats = {"holes": sum(row.value is None for row in rows)}
    return write_shard(store, "verdicts", responses.round, responses.shard, rows, VerdictRow, stats)


def pair_shard(store: str, recipe: AlgorithmConfig, responses: ShardRef, verdicts: ShardRef) -> ShardRef:
    """Write the examples of one shard.

    Statistics: groups; ties, groups without an example because the judge saw no difference; unusable, groups without
    one for another reason (failed judgements, or the better answer was cut or the same).
    """
    rule, options = rule_of(recipe)
    given = _by_prompt(read_shard(verdicts, VerdictRow))
    examples: list[Example] = []
    ties = unusable = 0
    groups = groups_of(read_shard(responses, Response))
    for group in groups:
        judged = verdict_of(recipe.plan, given[group.prompt_id], group)
        found = pair(rule, options, group, judged, responses.round, recipe.truncated_may_win)
        ties += not found and is_tied(judged)
        unusable += not found and not is_tied(judged)
        examples += found
    stats = {"groups": len(groups), "ties": ties, "unusable": unusable}
    return write_shard(store, "examples", responses.round, responses.shard, examples, Example, stats)


class _OfPrompt(Protocol):
    @property
    def prompt_id(self) -> str: ...


Row = TypeVar("Row", bound=_OfPrompt)


def _by_prompt(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.prompt_id].append(row)
    return found
