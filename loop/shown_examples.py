"""A round's examples as text, for the tracker's table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from loop.records import Example, ShardRef
from loop.shards import read_columns, read_shard


def shown_examples(shards_of: Callable[[str], list[ShardRef]], prompts_path: str, most: int) -> list[dict[str, object]]:
    """The first examples of a round, of whose tables `shards_of` gives the shards, as text for people: the only rows
    that the driver reads."""
    shown: list[dict[str, object]] = []
    messages = dict(zip(*read_columns(prompts_path, ["prompt_id", "messages"]), strict=True))
    shards = zip(shards_of("examples"), shards_of("responses"), shards_of("judgements"), strict=True)
    for examples, responses, judgements in shards:
        if len(shown) >= most:
            break
        texts = dict(zip(*read_columns(responses, ["response_id", "text"]), strict=True))
        judge = read_columns(judgements, ["judge"])[0][:1]
        shown += [
            {"prompt": json.loads(messages[example.prompt_id])[-1]["content"], **row, "judge": "".join(judge)}
            for example in read_shard(examples, Example)
            for row in rows_of(example, texts)
        ]
    return shown[:most]


def rows_of(example: Example, texts: Mapping[str, str]) -> list[dict[str, object]]:
    """An example as rows for people, from its responses' texts: one for a pair, otherwise one for each response."""
    if {"chosen", "rejected"} <= {*example.roles}:
        sides = {role: texts[example.by_role(role)[0]] for role in ("chosen", "rejected")}
        return [{**sides, "strength": example.strength, "margin": example.margin}]
    labels: Sequence[float | None] = example.labels or [None] * len(example.response_ids)
    members = zip(example.response_ids, example.roles, labels, strict=True)
    return [{"role": role, "response": texts[one], "label": label} for one, role, label in members]
