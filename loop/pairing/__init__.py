"""Pairing: from a judged group to examples. One file per rule; `pair` picks the rule that a recipe names."""

from __future__ import annotations

from loop.config import AlgorithmConfig, Pairing
from loop.judging import Group, Verdict
from loop.pairing.best_worst import best_worst
from loop.pairing.pair import Pair
from loop.pairing.ranked import ranked
from loop.records import Example, digest_of

__all__ = ["Pair", "best_worst", "pair", "ranked"]


def pair(recipe: AlgorithmConfig, group: Group, verdict: Verdict, round: int) -> list[Example]:
    """The examples of one judged group, under the recipe's pairing rule."""
    rule = recipe.pairing
    if rule.name is Pairing.best_worst:
        pairs = best_worst(group, verdict, recipe.truncated_may_win)
    else:
        pairs = ranked(group, verdict, rule.link, rule.min_strength, recipe.truncated_may_win)
    return [_example(group, round, p) for p in pairs]


def _example(group: Group, round: int, pair: Pair) -> Example:
    ids = [r.response_id for r in group.responses_K]
    chosen, rejected = ids[pair.chosen], ids[pair.rejected]
    example_id = digest_of("example", round, chosen, rejected)
    return Example(example_id, round, group.prompt_id, chosen, rejected, pair.strength, pair.margin, 1.0)
