"""The judge set: the verdict questions that the demo's policy was trained on."""

from __future__ import annotations

import json
import re
from itertools import islice

import pyarrow.parquet as pq
import pytest
import torch

from loop.config import PromptsConfig, PromptSource
from loop.demo.batches import make_batch
from loop.demo.examples import VERDICTS, Example
from loop.demo.make_judge_set import FILE, SEED, table
from loop.demo.make_prompts import PROMPTS
from loop.demo.policy import make_tokenizer
from loop.demo.task import Pool, answer_to, pool_of
from loop.demo.train_policy import JUDGE_TEMPLATE, Schedule, draw_batches
from loop.judges.template import load_template
from loop.prompts.canonical import canonical_row
from loop.prompts.reading import read_source

QUESTION = re.compile(r"Which is right\?\n(\w+: (\w+))\nA: (.*)\nB: (.*)")

Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    found: list[Row] = pq.read_table(FILE).to_pylist()
    return found


def test_the_shipped_file_is_what_the_function_makes(rows: list[Row]) -> None:
    assert rows == table().to_pylist()
    assert FILE.stat().st_size < 500_000


def test_the_trainer_draws_the_same_questions_step_by_step(rows: list[Row]) -> None:
    tokenizer, schedule = make_tokenizer(), Schedule()
    per_step = 2 * schedule.verdict_pairs
    assert len(rows) == schedule.steps * per_step
    batches = draw_batches(tokenizer, load_template(str(JUDGE_TEMPLATE)).text, schedule, SEED)
    for step, (_, drawn) in enumerate(islice(batches, 20)):
        written = [Example(row["prompt"], row["completion"]) for row in rows[step * per_step : (step + 1) * per_step]]
        batch = make_batch(tokenizer, written)
        assert torch.equal(batch.ids, drawn.ids) and torch.equal(batch.answers, drawn.answers)


def test_no_word_belongs_to_rounds_or_to_what_is_held_out(rows: list[Row]) -> None:
    asked = {line.rpartition(": ")[2] for line in prompts("rounds") + prompts("held_out")}
    words = {parts(row)[1] for row in rows}
    assert {pool_of(word) for word in words} == {Pool.JUDGE}
    assert len(asked) > 3000 and not words & asked


def test_a_verdict_names_the_right_answer_in_both_orders_and_ties_have_none(rows: list[Row]) -> None:
    ties = 0
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        prompt, _, a, b = parts(first)
        assert parts(second)[0] == prompt and parts(second)[2:] == [b, a]
        assert (first["completion"], second["completion"]) == VERDICTS
        right = answer_to(prompt)
        ties += (a == right) == (b == right)
        assert a == right or b != right, "the answer that the verdict names is the wrong one"
    assert 0.07 < ties / (len(rows) / 2) < 0.09


def test_rounds_can_draw_from_it(rows: list[Row]) -> None:
    source, config = PromptSource(str(FILE)), PromptsConfig("judge_set")
    first = next(row for row in read_source(source) if row is not None)
    prompt = canonical_row(first, "judge_set", config.template, config.system).prompt
    assert prompt.turns() == [{"role": "user", "content": rows[0]["prompt"]}]
    assert prompt.completion == rows[0]["completion"] and prompt.answer is None


def prompts(name: str) -> list[str]:
    lines = (PROMPTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["prompt"] for line in lines]


def parts(row: Row) -> list[str]:
    """Instruction, word and both answers of a question."""
    found = QUESTION.fullmatch(row["prompt"])
    assert found is not None, row
    return list(found.groups())
