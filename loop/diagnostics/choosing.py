"""Which examples, responses and answers a learner's probe is made of. What is chosen follows from ids alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from loop.diagnostics.pairs import sides
from loop.diagnostics.probe import ANSWERS_PER_EXAMPLE, ProbePair, chosen_by_id, third_of
from loop.fleets import Lesson
from loop.records import Example, Response, ShardRef
from loop.shards import from_table, read_arrow, schema_of

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Probe:
    """What is passed through the model: pairs and the responses that they name, and the policy's own answers."""

    pairs: tuple[ProbePair, ...]
    responses: tuple[Response, ...]
    answers: tuple[Response, ...]


def choose(lesson: Lesson, answers: Sequence[ShardRef], most: int) -> Probe:
    """The probe of a round; the same examples and answers whenever it is asked for."""
    examples = [ref for ref in lesson.examples if ref.round == lesson.round]
    responses = [ref for ref in lesson.responses if ref.round == lesson.round]
    ids = chosen_by_id(_column(examples, "example_id"), most)
    found = {one.example_id: one for one in _rows(examples, Example, "example_id", ids)}
    named = [(found[one], pair) for one in ids if (pair := sides(*_members(found[one]))) is not None]
    texts = _groups(responses, {example.prompt_id for example, _ in named}, str(lesson.policy))
    pairs = tuple(
        ProbePair(*pair, third_of(texts.get(example.prompt_id, {}), *pair), example.strength) for example, pair in named
    )
    wanted = {one for pair in pairs for one in (pair.chosen, pair.rejected, pair.third) if one is not None}
    own = chosen_by_id(_column(answers, "response_id"), ANSWERS_PER_EXAMPLE * most)
    return Probe(
        pairs,
        tuple(_rows(responses, Response, "response_id", sorted(wanted))),
        tuple(_rows(answers, Response, "response_id", own)),
    )


def _members(example: Example) -> tuple[list[str], list[str], list[float]]:
    return example.response_ids, example.roles, example.labels


def _column(refs: Sequence[ShardRef], name: str) -> list[str]:
    return [value for ref in refs for value in read_arrow(ref, [name])[name].to_pylist()]


def _groups(refs: Sequence[ShardRef], prompt_ids: set[str], policy: str) -> Mapping[str, dict[str, str]]:
    """By prompt the texts, by id, of what the round's policy sampled for training."""
    groups: dict[str, dict[str, str]] = {one: {} for one in prompt_ids}
    for ref in refs:
        table = read_arrow(ref, ["prompt_id", "response_id", "text", "purpose", "policy"])
        own = pc.and_(pc.equal(table["purpose"], "train"), pc.equal(table["policy"], policy))
        kept = table.filter(pc.and_(own, pc.is_in(table["prompt_id"], pa.array(sorted(prompt_ids), pa.string()))))
        for prompt_id, response_id, text in zip(*(column.to_pylist() for column in kept.columns[:3]), strict=True):
            groups[prompt_id][response_id] = text
    return groups


def _rows(refs: Sequence[ShardRef], row_type: type[Row], key: str, ids: Sequence[str]) -> list[Row]:
    """The rows of those ids, in the order of the shards."""
    wanted = pa.array(ids, pa.string())
    names: list[str] = schema_of(row_type).names  # type: ignore[arg-type]
    tables = [read_arrow(ref, names) for ref in refs]
    return [row for table in tables for row in from_table(table.filter(pc.is_in(table[key], wanted)), row_type)]
