"""Which examples, responses and answers a learner's probe is made of. What is chosen follows from ids alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from loop.diagnostics.pairs import sides
from loop.diagnostics.probe import ANSWERS_PER_EXAMPLE, ProbePair, chosen_by_id, third_of
from loop.fleets import Lesson
from loop.records import Example, Response, ShardRef
from loop.shards import from_table, read_arrow, read_columns, read_shards, schema_of

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Probe:
    """What is passed through the model: pairs and samples of the round's first policy, chosen without a look at what
    the judge said (by id), the `responses` that both name, and the present policy's own `answers`."""

    pairs: tuple[ProbePair, ...]
    samples: tuple[str, ...]
    responses: tuple[Response, ...]
    answers: tuple[Response, ...]


def choose(lesson: Lesson, answers: Sequence[ShardRef], most: int) -> Probe:
    """The probe of a round; the same examples and answers whenever it is asked for.

    Prompts stand in shards in an order of chance, so a few shards serve for all of them: only these are read, however
    large the round is.
    """
    shards = _enough([ref for ref in lesson.examples if ref.round == lesson.round], most)
    numbers = {ref.shard for ref in shards}
    responses = [ref for ref in lesson.responses if ref.round == lesson.round and ref.shard in numbers]
    examples = {example.example_id: example for example in read_shards(shards, Example)}
    ids = chosen_by_id(examples, most)
    named = [(examples[one], pair) for one in ids if (pair := _sides(examples[one])) is not None]
    texts = _groups(responses, str(lesson.policy))
    pairs = tuple(
        ProbePair(*pair, third_of(texts.get(example.prompt_id, {}), *pair), example.strength) for example, pair in named
    )
    samples = chosen_by_id((one for group in texts.values() for one in group), most)
    wanted = {one for pair in pairs for one in (pair.chosen, pair.rejected, pair.third) if one is not None}
    some = _enough(answers, ANSWERS_PER_EXAMPLE * most)
    own = [one for ref in some for one in read_columns(ref, ["response_id"])[0]]
    return Probe(
        pairs,
        tuple(samples),
        tuple(rows_of(responses, Response, {*wanted, *samples})),
        tuple(rows_of(some, Response, chosen_by_id(own, ANSWERS_PER_EXAMPLE * most))),
    )


def rows_of(refs: Iterable[ShardRef], row_type: type[Row], response_ids: Collection[str]) -> list[Row]:
    """The rows of some responses, in the order of the shards; no other row leaves its file's columns."""
    wanted, names = pa.array(sorted(response_ids), pa.string()), _names(row_type)
    tables = [read_arrow(ref, names) for ref in refs]
    return [
        row for table in tables for row in from_table(table.filter(pc.is_in(table["response_id"], wanted)), row_type)
    ]


def _names(row_type: type) -> list[str]:
    names: list[str] = schema_of(row_type).names
    return names


def _enough(refs: Sequence[ShardRef], rows: int) -> list[ShardRef]:
    """The first shards with so many rows together, or all."""
    taken: list[ShardRef] = []
    for ref in sorted(refs, key=lambda ref: ref.shard):
        if sum(one.rows for one in taken) >= rows:
            break
        taken.append(ref)
    return taken


def _sides(example: Example) -> tuple[str, str] | None:
    return sides(example.response_ids, example.roles, example.labels)


def _groups(refs: Sequence[ShardRef], policy: str) -> dict[str, dict[str, str]]:
    """By prompt the texts, by id, of what the round's policy sampled for training."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for ref in refs:
        table = read_arrow(ref, ["prompt_id", "response_id", "text", "purpose", "policy"])
        kept = table.filter(pc.and_(pc.equal(table["purpose"], "train"), pc.equal(table["policy"], policy)))
        for prompt_id, response_id, text in zip(*(column.to_pylist() for column in kept.columns[:3]), strict=True):
            groups[prompt_id][response_id] = text
    return groups
