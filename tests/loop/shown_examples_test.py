"""Examples as rows for people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from loop.records import Example, Judgement, Prompt, Response
from loop.shards import write_shard
from loop.shown_examples import judged, lengths_of, rows_of, shown_examples
from tests.loop.factories import judgement, list_example, pair_example, response, single_example

TEXTS = {"a": "four", "b": "five"}


def test_a_pair_is_one_row_and_any_other_example_one_for_each_response() -> None:
    assert rows_of(pair_example("x", "b", "a", 0.75, 1.5), TEXTS) == [
        {"chosen": "five", "rejected": "four", "strength": 0.75, "margin": 1.5}
    ]
    assert rows_of(list_example("l", ["a", "b"], [1.0, 0.0]), TEXTS) == [
        {"role": "item", "response": "four", "label": 1.0},
        {"role": "item", "response": "five", "label": 0.0},
    ]
    assert rows_of(single_example("s", "b", 1.0), TEXTS) == [{"role": "response", "response": "five", "label": 1.0}]


def test_only_judgements_of_the_examples_own_responses_are_shown() -> None:
    pair = pair_example("x", "b", "a", 0.75, 1.5)
    said = [
        replace(judgement(["b"], 1.0), raw="yes"),
        replace(judgement(["a", "b"], 0.125), raw="B"),
        replace(judgement(["b", "a"], None, "failed"), raw="?"),
        replace(judgement(["c", "a"], 0.5), raw="about another one"),
    ]
    assert judged(pair, said) == {
        "judge": "judge",
        "values": "chosen 1; rejected before chosen 0.125; chosen before rejected failed",
        "replies": "yes\nB\n?",
        "example": "x",
    }
    assert judged(pair, []) == {"judge": "", "values": "", "replies": "", "example": "x"}


def test_long_texts_are_cut() -> None:
    long = rows_of(pair_example("x", "a", "b"), {"a": "y" * 5000, "b": "n"})[0]
    assert long["chosen"] == "y" * 4000
    said = [replace(judgement(["a"], 1.0), raw="z" * 9000)]
    assert judged(single_example("s", "a", 1.0), said)["replies"] == "z" * 4000


def test_a_rounds_examples_are_found_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    root = str(tmp_path)
    prompts = [Prompt(f"p{n}", f'[{{"content":"question {n}","role":"user"}}]', [1], "a", "s") for n in range(2)]
    prompts_path = write_shard(root, "prompts", 0, 0, prompts, Prompt).path
    rows = {n: [response(k, f"{n}-{k}", prompt_id=f"p{n}", id=f"r{n}{k}") for k in range(3)] for n in range(2)}
    said = {n: [replace(judgement([f"r{n}{k}"], float(k)), prompt_id=f"p{n}") for k in range(3)] for n in range(2)}
    examples = {n: [pair_example(f"e{n}", f"r{n}1", f"r{n}0", margin=1.0, prompt_id=f"p{n}")] for n in range(2)}
    shards = {
        "responses": [write_shard(root, "responses", 1, n, rows[n], Response) for n in range(2)],
        "judgements": [write_shard(root, "judgements", 1, n, said[n], Judgement) for n in range(2)],
        "examples": [write_shard(root, "examples", 1, n, examples[n], Example) for n in range(2)],
    }
    first, second = shown_examples(lambda table: shards[table], prompts_path, 9)
    assert (first["prompt"], first["chosen"], first["rejected"]) == ("question 0", "0-1", "0-0")
    assert (second["prompt"], second["values"], second["margin"]) == ("question 1", "rejected 0; chosen 1", 1.0)
    assert shown_examples(lambda table: shards[table], prompts_path, 1) == [first]
    merged = {**shards, "responses": [write_shard(root, "responses", 2, 0, rows[0] + rows[1], Response)]}
    assert shown_examples(lambda table: merged[table], prompts_path, 9) == [first, second], "files may be merged"
    assert shown_examples(lambda table: [], prompts_path, 9) == []
    assert lengths_of(shards["responses"]) == [4] * 6, "three characters and the end"
