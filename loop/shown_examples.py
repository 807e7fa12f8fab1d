"""A round's examples as text with what the judge said of them, for the tracker's table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loop.records import Example, Judgement, ShardRef
from loop.shards import from_table, read_arrow, read_columns, read_shard, schema_of

LONGEST = 4_000
"""Characters of one text that are shown."""


def shown_examples(shards_of: Callable[[str], list[ShardRef]], prompts_path: str, most: int) -> list[dict[str, object]]:
    """The first examples of a round, of whose tables `shards_of` gives the shards, as text for people: the only rows
    that the driver reads."""
    examples = list(islice(_examples(shards_of("examples")), most))
    if not examples:
        return []
    messages = dict(zip(*read_columns(prompts_path, ["prompt_id", "messages"]), strict=True))
    texts, told = dict[str, str](), defaultdict[str, list[Judgement]](list)
    wanted = {one for example in examples for one in example.response_ids}
    for ref in shards_of("responses"):
        found = _among(read_arrow(ref, ["response_id", "text"]), "response_id", wanted)
        texts |= zip(*(column.to_pylist() for column in found.columns), strict=True)
    prompts = {example.prompt_id for example in examples}
    for ref in shards_of("judgements"):
        names = schema_of(Judgement).names  # type: ignore[arg-type]
        for one in from_table(_among(read_arrow(ref, names), "prompt_id", prompts), Judgement):
            told[one.prompt_id].append(one)
    shown = [
        {
            "prompt": str(json.loads(messages[example.prompt_id])[-1]["content"])[:LONGEST],
            **row,
            **judged(example, told[example.prompt_id]),
        }
        for example in examples
        for row in rows_of(example, texts)
    ]
    return shown[:most]


def rows_of(example: Example, texts: Mapping[str, str]) -> list[dict[str, object]]:
    """An example as rows for people, from its responses' texts: one for a pair, otherwise one for each response."""
    shown = {one: texts[one][:LONGEST] for one in example.response_ids}
    if {"chosen", "rejected"} <= {*example.roles}:
        sides = {role: shown[example.by_role(role)[0]] for role in ("chosen", "rejected")}
        return [{**sides, "strength": example.strength, "margin": example.margin}]
    labels: Sequence[float | None] = example.labels or [None] * len(example.response_ids)
    members = zip(example.response_ids, example.roles, labels, strict=True)
    return [{"role": role, "response": shown[one], "label": label} for one, role, label in members]


def judged(example: Example, judgements: Sequence[Judgement]) -> dict[str, object]:
    """What a judge said of an example's responses and of nothing else: its version, its values as `chosen 1` or, where
    it compared two, `chosen before rejected 0.83`, and its raw replies, each on a line of its own."""
    roles = dict(zip(example.response_ids, example.roles, strict=True))
    about = [one for one in judgements if {*one.response_ids} <= roles.keys()]
    values = [f"{' before '.join(roles[i] for i in one.response_ids)} {_value(one)}" for one in about]
    return {
        "judge": about[0].judge if about else "",
        "values": "; ".join(values),
        "replies": "\n".join(one.raw[:LONGEST] for one in about),
        "example": example.example_id,
    }


def lengths_of(refs: Sequence[ShardRef]) -> list[int]:
    """How many tokens the responses of some shards have; the tokens themselves are not kept."""
    return [
        length for ref in refs for length in pc.list_value_length(read_arrow(ref, ["tokens_T"])["tokens_T"]).to_pylist()
    ]


def _examples(refs: Sequence[ShardRef]) -> Iterator[Example]:
    for ref in refs:
        yield from read_shard(ref, Example)


def _among(table: pa.Table, column: str, wanted: Collection[str]) -> pa.Table:
    return table.filter(pc.is_in(table[column], pa.array(sorted(wanted), pa.string())))


def _value(one: Judgement) -> Any:
    return one.status if one.value is None else f"{one.value:.3g}"
