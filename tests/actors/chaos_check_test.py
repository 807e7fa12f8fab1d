from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from actors.bench.chaos_check import (
    KEYS,
    canonical,
    counts,
    differences,
    digest,
    held_out_answers,
    read_tables,
    train_answers,
)
from loop.composition import compose
from loop.config import Plan, PlanConfig
from loop.evaluation.splits import TEST
from loop.ledger import TABLES, Ledger
from loop.plans import next_questions
from loop.prompts.pool import PoolCounts, PromptPool
from loop.records import Judgement, Prompt, Response, RoundRow
from loop.shards import to_table
from loop.task import Task
from loop.verdicts import groups_of
from tests.loop.factories import response
from tests.loop.judged import judged as judgements_of
from tests.loop.judged import noisy

ROUNDS, DRAWN, K = 2, 2, 3


def prompts(begin: str, number: int) -> list[Prompt]:
    return [Prompt(f"{begin}{at}", "[]", [1], "4", "sums") for at in range(number)]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    config = compose(
        ["experiment=demo", "gate=off", f"rounds={ROUNDS}", f"prompts.per_round={DRAWN}", f"algorithm.k={K}"]
    )
    pool = PromptPool({"a": prompts("p", 5)}, {"a": 1.0}, [], prompts("t", 2), PoolCounts(7, 0, 0, 0, 5, 0, 2))
    return Task(config, "identity", tmp_path, pool, "model")


def answers(task: Task, purpose: str) -> list[Response]:
    found = train_answers(task) if purpose == "train" else held_out_answers(task, TEST)
    keys: Sequence[Any] = sorted(found, key=str)
    return [
        replace(response(k, id=f"{r}{purpose}{p}{k}", prompt_id=p), round=r, purpose=purpose)
        for r, purpose, p, k in keys
    ]


def judged(task: Task, rows: Sequence[Response]) -> list[Judgement]:
    return [
        Judgement(f"j{n}{q.response_ids}", n, q.prompt_id, q.response_ids, q.sample, "raw", "decided", 1.0, "v", "d")
        for n in sorted({row.round for row in rows})
        for group in groups_of([row for row in rows if row.round == n])
        for q in next_questions(task.config.algorithm.plan, group, [])
    ]


@pytest.fixture
def rows(task: Task) -> dict[str, list[Any]]:
    trained, evaluated = answers(task, "train"), answers(task, "evaluate")
    return {name: [] for name in KEYS} | {
        "prompts": task.pool.everything,
        "responses": trained,
        "judgements": judged(task, trained),
        "evaluation_responses": evaluated,
        "evaluation_judgements": judged(task, evaluated),
        "rounds": [RoundRow(number, "r0-s0", "{}") for number in range(ROUNDS + 1)],
    }


def tables(rows: dict[str, list[Any]]) -> dict[str, pa.Table]:
    return {name: canonical(to_table(rows[name], TABLES[name]), KEYS[name]) for name in KEYS}


def test_a_complete_ledger_has_everything_once(task: Task, rows: dict[str, list[Any]]) -> None:
    found = counts(tables(rows), task)
    assert all(count.right for count in found.values())
    assert found["responses"].rows == ROUNDS * DRAWN * K == found["judgements"].rows
    assert found["evaluation_responses"].rows == (ROUNDS + 1) * 2


def test_rows_twice_are_duplicates_and_missing_ones_gaps(task: Task, rows: dict[str, list[Any]]) -> None:
    again = rows["responses"][0]
    rows["responses"] += [again, replace(again, response_id="another id for the same prompt and k")]
    del rows["judgements"][:3], rows["evaluation_responses"][0], rows["rounds"][1]
    found = counts(tables(rows), task)
    assert found["responses"].duplicates == 2
    assert found["judgements"].gaps == 3 + 1, "the other response with the same prompt and k is not judged either"
    assert found["evaluation_responses"].gaps == 1 == found["evaluation_judgements"].strays
    assert found["rounds"].gaps == 1


def test_questions_that_follow_from_answers_are_those_that_follow_from_the_answers_there(
    task: Task, rows: dict[str, list[Any]]
) -> None:
    plan = task.config.algorithm.plan = PlanConfig(Plan.tournament)
    rows["judgements"] = [
        replace(one, round=number, judgement_id=f"{number}{one.judgement_id}")
        for number in range(1, ROUNDS + 1)
        for group in groups_of([row for row in rows["responses"] if row.round == number])
        for one in judgements_of(plan, group, noisy(number))
    ]
    assert counts(tables(rows), task)["judgements"].right
    wave = 2  # K = 3: one match in both orders, then two more that it decides
    assert len(rows["judgements"]) == ROUNDS * DRAWN * 3 * wave
    del rows["judgements"][0]
    found = counts(tables(rows), task)["judgements"]
    assert (found.gaps, found.strays) == (1, 2 * wave)


def test_a_question_judged_twice_is_a_duplicate_whatever_the_judgement_s_id(
    task: Task, rows: dict[str, list[Any]]
) -> None:
    rows["judgements"].append(replace(rows["judgements"][0], judgement_id="another"))
    assert counts(tables(rows), task)["judgements"].duplicates == 1


def test_an_id_given_twice_is_a_duplicate_whatever_it_stands_for(task: Task, rows: dict[str, list[Any]]) -> None:
    rows["responses"].append(replace(rows["responses"][0], k=K))
    found = counts(tables(rows), task)["responses"]
    assert (found.duplicates, found.strays) == (1, 1)


def test_rows_of_a_round_that_nobody_asked_for_belong_nowhere(task: Task, rows: dict[str, list[Any]]) -> None:
    rows["responses"].append(replace(rows["responses"][0], round=9, response_id="x"))
    assert counts(tables(rows), task)["responses"].strays == 1


def test_the_order_of_rows_makes_no_difference(rows: dict[str, list[Any]]) -> None:
    turned = {name: some[::-1] for name, some in rows.items()}
    assert not differences(tables(rows), tables(turned))
    assert digest(tables(rows)) == digest(tables(turned))


def test_one_bit_of_one_float_is_a_difference_and_its_place_is_told(rows: dict[str, list[Any]]) -> None:
    other = dict(rows)
    row = rows["responses"][4]
    changed = replace(row, logprobs_T=[*row.logprobs_T[:-1], -0.50000006])
    other["responses"] = [changed if one is row else one for one in rows["responses"]]
    (found,) = differences(tables(rows), tables(other))
    assert (found.table, found.round, found.columns) == ("responses", row.round, ("logprobs_T",))
    assert str(found) == f"responses of round {row.round}: 6 and 6 rows, differing in logprobs_T"
    assert digest(tables(rows)) != digest(tables(other))


def test_the_sign_of_zero_is_a_difference(rows: dict[str, list[Any]]) -> None:
    other = dict(rows)
    rows["judgements"][0] = replace(rows["judgements"][0], value=0.0)
    other["judgements"] = [replace(rows["judgements"][0], value=-0.0), *rows["judgements"][1:]]
    assert differences(tables(rows), tables(other))


def test_differences_come_round_by_round_in_the_order_of_a_round(rows: dict[str, list[Any]]) -> None:
    other = dict(rows)
    other["rounds"] = rows["rounds"][:1]
    other["judgements"] = [row for row in rows["judgements"] if row.round != 2]
    other["prompts"] = rows["prompts"][1:]
    found = differences(tables(rows), tables(other))
    assert [(one.table, one.round) for one in found] == [
        ("prompts", None),
        ("rounds", 1),
        ("judgements", 2),
        ("rounds", 2),
    ]
    assert found[2].rows == (6, 0) and not found[2].columns


def test_tables_are_read_whole_and_telemetry_is_not(tmp_path: Path, rows: dict[str, list[Any]]) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.claim()
    for name, some in rows.items():
        ledger.append(name, 0, some[: len(some) // 2])
        ledger.append(name, 0, some[len(some) // 2 :], shard=1)
    assert not differences(read_tables(Ledger(tmp_path / "ledger")), tables(rows))
    assert dataclasses.is_dataclass(TABLES["telemetry"]) and "telemetry" not in read_tables(ledger)
