"""What the rows measured on held-out prompts say: the only place where the driver reads answers, for a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from loop.evaluation.comparison import Comparison, Opponent
from loop.evaluation.outcomes import outcomes_from_comparisons, outcomes_from_scores
from loop.evaluation.splits import Split
from loop.evaluation.win_rate import compare
from loop.records import Judgement, PolicyVersion, ShardRef
from loop.shards import read_arrow, read_shards

Tables = Callable[[str], Sequence[ShardRef]]
"""The shards of a table, of the round in which a policy was measured."""


def outcomes(split: Split, own: Tables, theirs: Tables) -> dict[str, float]:
    """By prompt, the probability that a policy's answer is better than another policy's (`loop.evaluation.outcomes`):
    from the scores of both where the judge of evaluation scores, else from the comparisons made with the own
    answers. Prompts of which nothing is known are left out."""
    if scores := own(split.scores):
        return outcomes_from_scores(_scores(scores), _scores(theirs(split.scores)))
    mine, others = _ids(own(split.answers)), _ids(theirs(split.answers))
    told = [
        one
        for one in read_shards(own(split.contests), Judgement)
        if {*one.response_ids} & mine and {*one.response_ids} & others
    ]
    return outcomes_from_comparisons(told, {one: True for one in mine} | {one: False for one in others})


def lengths(split: Split, own: Tables, theirs: Tables) -> dict[str, tuple[float, float]]:
    """By prompt, the mean lengths of a policy's and of another policy's answers, in tokens."""
    ours, others = _lengths(own(split.answers)), _lengths(theirs(split.answers))
    return {prompt: (length, others[prompt]) for prompt, length in ours.items() if prompt in others}


def texts(split: Split, tables: Tables) -> dict[str, list[str]]:
    """By prompt, a policy's answers."""
    by_prompt: dict[str, list[str]] = defaultdict(list)
    for row in _columns(tables(split.answers), ["prompt_id", "text"]):
        by_prompt[row["prompt_id"]].append(row["text"])
    return dict(by_prompt)


def _lengths(refs: Sequence[ShardRef]) -> dict[str, float]:
    by_prompt: dict[str, list[int]] = defaultdict(list)
    for row in _columns(refs, ["prompt_id", "tokens_T"]):
        by_prompt[row["prompt_id"]].append(len(row["tokens_T"]))
    return {prompt: sum(some) / len(some) for prompt, some in by_prompt.items()}


def _scores(refs: Sequence[ShardRef]) -> dict[str, list[float | None]]:
    by_prompt: dict[str, list[float | None]] = defaultdict(list)
    for row in _columns(refs, ["prompt_id", "status", "value"]):
        by_prompt[row["prompt_id"]].append(None if row["status"] == "failed" else row["value"])
    return dict(by_prompt)


def _ids(refs: Sequence[ShardRef]) -> set[str]:
    return {row["response_id"] for row in _columns(refs, ["response_id"])}


def _columns(refs: Sequence[ShardRef], columns: list[str]) -> list[dict[str, Any]]:
    return pa.concat_tables([read_arrow(ref, columns) for ref in refs]).to_pylist() if refs else []


def compared(
    split: Split,
    own: Tables,
    tables_of: Callable[[PolicyVersion], Tables],
    rivals: Mapping[Opponent, PolicyVersion],
    seed: int,
) -> list[Comparison]:
    """A policy against each of its rivals, where both were measured."""
    found = []
    for against, version in rivals.items():
        theirs = tables_of(version)
        if told := outcomes(split, own, theirs):
            found.append(compare(against, str(version), told, lengths(split, own, theirs), seed))
    return found
