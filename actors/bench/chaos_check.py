"""Whether a run's ledger is what it has to be: complete, without duplicates, and the same as that of another run."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from loop.config import Plan, PlanConfig
from loop.evaluation.splits import SPLITS, Split, splits_in
from loop.ledger import TABLES, Ledger
from loop.plans import asked
from loop.prompts.drawing import draw
from loop.records import Judgement, Response
from loop.shards import encode, from_table
from loop.task import Task
from loop.verdicts import groups_of

KEYS: dict[str, tuple[str, ...]] = {
    "prompts": ("prompt_id",),
    "drafts": ("round", "response_id"),
    "draft_judgements": ("round", "judgement_id"),
    "draft_anchors": ("round", "policy", "response_id"),
    "responses": ("round", "response_id"),
    "judge_checks": ("round", "question"),
    "judgements": ("round", "judgement_id"),
    "verdicts": ("round", "response_id", "against"),
    "examples": ("round", "example_id"),
    "anchors": ("round", "anchor", "response_id"),
    "policies": ("round", "version"),
    "evaluation_responses": ("round", "response_id"),
    "evaluation_judgements": ("round", "judgement_id"),
    "evaluation_comparisons": ("round", "judgement_id"),
    "evaluation_anchors": ("round", "anchor", "response_id"),
    "gate_responses": ("round", "response_id"),
    "gate_judgements": ("round", "judgement_id"),
    "gate_comparisons": ("round", "judgement_id"),
    "incumbent_responses": ("round", "response_id"),
    "incumbent_judgements": ("round", "judgement_id"),
    "retention_responses": ("round", "response_id"),
    "retention_judgements": ("round", "judgement_id"),
    "retention_comparisons": ("round", "judgement_id"),
    "rounds": ("round",),
}
"""The tables that are a function of a run's identity, and the columns by which each of their rows is one of a kind."""

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of one table and round (None: a table without rounds) that two ledgers do not share. `columns` are those
    in which rows of the same key differ."""

    table: str
    round: int | None
    rows: tuple[int, int]
    columns: tuple[str, ...]

    def __str__(self) -> str:
        where = self.table if self.round is None else f"{self.table} of round {self.round}"
        counts = f"{self.rows[0]} and {self.rows[1]} rows"
        return f"{where}: {counts}{', differing in ' + ', '.join(self.columns) if self.columns else ''}"


@dataclass(frozen=True, slots=True)
class Count:
    """Rows of a table; how many of them repeat another, how many that should be there are not, and how many are there
    that should not."""

    rows: int
    duplicates: int
    gaps: int
    strays: int

    @property
    def right(self) -> bool:
        """Whether everything is there exactly once."""
        return not (self.duplicates or self.gaps or self.strays)


def read_tables(ledger: Ledger) -> dict[str, pa.Table]:
    """All committed rows but telemetry, each table in the order of its keys."""
    assert KEYS.keys() == TABLES.keys() - {"telemetry"}
    return {name: canonical(ledger.read(name), keys) for name, keys in KEYS.items()}


def canonical(table: pa.Table, keys: Iterable[str]) -> pa.Table:
    """A table's rows in the order of some columns."""
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in keys])
    return table.take(order).combine_chunks()


def digest(tables: Tables) -> str:
    """The sha256 of all rows, byte for byte."""
    return hashlib.sha256(b"".join(name.encode() + _bytes(tables[name]) for name in sorted(tables))).hexdigest()


def differences(left: Tables, right: Tables) -> list[Difference]:
    """Where two ledgers are not byte for byte the same, in the order in which a run fills them: round by round."""
    found = []
    for at, name in enumerate(KEYS):
        rounds = sorted({*_rounds(left[name]), *_rounds(right[name])}, key=lambda round: -1 if round is None else round)
        for number in rounds:
            pair = _of_round(left[name], number), _of_round(right[name], number)
            if _bytes(pair[0]) != _bytes(pair[1]):
                found.append((number if number is not None else -1, at, _difference(name, number, *pair)))
    return [difference for _, _, difference in sorted(found, key=lambda one: one[:2])]


def counts(tables: Tables, task: Task) -> dict[str, Count]:
    """The rows of each table, compared with those that the configuration asks for where these are known before: every
    (round, purpose, prompt, k) has one response, and every question about these one judgement."""
    wanted: dict[str, set[Hashable]] = {
        "prompts": {(prompt.prompt_id,) for prompt in task.pool.everything},
        "rounds": {(number,) for number in range(task.config.rounds + 1)},
    }
    found = {name: _keys(tables[name], keys) for name, keys in KEYS.items()}
    answered = {"responses": train_answers(task)} | {one.answers: held_out_answers(task, one) for one in SPLITS}
    for name, answers in answered.items():
        wanted[name], found[name] = answers, _keys(tables[name], ("round", "purpose", "prompt_id", "k"))
    for name, about, plan in (
        ("judgements", "responses", task.config.algorithm.plan),
        *((one.scores, one.answers, PlanConfig(Plan.pointwise)) for one in SPLITS),
    ):
        wanted[name] = expected_questions(tables[about], tables[name], plan)
        found[name] = _keys(tables[name], ("round", "prompt_id", "response_ids", "sample"))
    ids = {name: len(tables[name]) - len(set(_keys(tables[name], keys))) for name, keys in KEYS.items()}
    return {name: count(found[name], wanted.get(name), ids[name]) for name in KEYS}


def count(found: list[Hashable], wanted: set[Hashable] | None, repeated_ids: int = 0) -> Count:
    """The rows found, by their keys, against those wanted; None: nothing is known of these."""
    there = set(found)
    duplicates = max(len(found) - len(there), repeated_ids)
    if wanted is None:
        return Count(len(found), duplicates, 0, 0)
    return Count(len(found), duplicates, len(wanted - there), len(there - wanted))


def train_answers(task: Task) -> set[Hashable]:
    """Round, purpose, prompt and k of every response that a run asks for in its rounds."""
    config, wanted = task.config, set[Hashable]()
    for number in range(1, config.rounds + 1):
        ids = draw(task.pool, number, config.prompts.per_round, config.seed).prompt_ids
        wanted |= {(number, "train", prompt_id, k) for prompt_id in ids for k in range(config.algorithm.k)}
    return wanted


def held_out_answers(task: Task, split: Split) -> set[Hashable]:
    """The same of every response to the prompts of a split."""
    config, ids = task.config, [prompt.prompt_id for prompt in split.prompts(task.pool)]
    rounds = [number for number in range(config.rounds + 1) if split in splits_in(config, number)]
    return {(round, "evaluate", one, k) for round in rounds for one in ids for k in range(config.evaluate.samples)}


def expected_questions(responses: pa.Table, judgements: pa.Table, plan: PlanConfig) -> set[Hashable]:
    """Round, prompt, responses in the order shown and sample of every question about some responses: of those that
    follow from answers, the ones that follow from these judgements."""
    wanted = set[Hashable]()
    for number in _rounds(responses):
        told: dict[str, list[Judgement]] = defaultdict(list)
        for judgement in from_table(_of_round(judgements, number), Judgement):
            told[judgement.prompt_id].append(judgement)
        for group in groups_of(from_table(_of_round(responses, number), Response)):
            for question in asked(plan, group, told[group.prompt_id]):
                wanted.add((number, question.prompt_id, tuple(question.response_ids), question.sample))
    return wanted


def _keys(table: pa.Table, columns: Iterable[str]) -> list[Hashable]:
    values = [table.column(name).to_pylist() for name in columns]
    return [tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in zip(*values, strict=True)]


def _rounds(table: pa.Table) -> list[int | None]:
    if "round" not in table.schema.names:
        return [None]
    return list(pc.unique(table["round"]).to_pylist())


def _of_round(table: pa.Table, round: int | None) -> pa.Table:
    return table if round is None else table.filter(pc.equal(table["round"], round))


def _bytes(table: pa.Table) -> bytes:
    return encode(table.combine_chunks())


def _difference(name: str, round: int | None, left: pa.Table, right: pa.Table) -> Difference:
    columns: tuple[str, ...] = ()
    if len(left) == len(right):
        pairs = ((column, left.select([column]), right.select([column])) for column in left.schema.names)
        columns = tuple(column for column, one, other in pairs if _bytes(one) != _bytes(other))
    return Difference(name, round, (len(left), len(right)), columns)
