"""Preference files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loop.errors import Refused
from loop.judge_study.cases import read_cases, refuse_without_answers

GOOD: dict[str, Any] = {"prompt": "2+2", "chosen": "4", "rejected": "5"}


def written(tmp_path: Path, *rows: object) -> str:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_a_pair_is_a_case_of_the_whole_with_its_line_as_name(tmp_path: Path) -> None:
    first, second = read_cases(written(tmp_path, GOOD, "\n", {**GOOD, "prompt": "3+3", "answer": 6}))
    assert (first.chosen, first.rejected, first.subset, first.case_id) == (("4",), ("5",), "all", "1")
    assert first.conversation == [{"role": "user", "content": "2+2"}] and first.answer is None
    assert second.case_id == "3" and second.answer == "6" and second.place.endswith("pairs.jsonl, line 3")
    assert first.prompt_id != second.prompt_id


def test_lists_turns_subsets_and_names_are_read(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    row = {"prompt": turns, "chosen": ["x", "y"], "rejected": ["u", "v", "w"], "subset": "Ties", "id": "tied:7"}
    (case,) = read_cases(written(tmp_path, row))
    assert case.conversation == turns and case.responses == ("x", "y", "u", "v", "w")
    assert (case.subset, case.case_id) == ("Ties", "tied:7")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": None}, "no `prompt`"),
        ({"prompt": 3}, "`prompt` must be"),
        ({"chosen": None}, "`chosen` is missing"),
        ({"chosen": 4}, "`chosen` must be a string or a list of strings, not a number"),
        ({"rejected": []}, "`rejected` is an empty list"),
        ({"rejected": ["5", None]}, "`rejected` holds null"),
        ({"rejected": ["3", "4"]}, "`chosen` and `rejected` hold the same response '4'"),
        ({"subset": ["a"]}, "`subset` must be"),
        ({"id": True}, "`id` must be"),
        ({"answer": ["4"]}, "`answer` must be"),
    ],
)
def test_a_bad_line_is_refused_by_number_and_key(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_cases(written(tmp_path, GOOD, {**GOOD, **change}))
    assert "pairs.jsonl, line 2: " in str(refused.value) and said in str(refused.value)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    with pytest.raises(Refused, match="holds no case"):
        read_cases(path)
    with pytest.raises(Refused, match=r"is not a file; did you mean pairs\.jsonl"):
        read_cases(str(tmp_path / "pair.jsonl"))
    with pytest.raises(Refused, match="line 1: not valid JSON"):
        read_cases(written(tmp_path, "{\n"))
    (tmp_path / "pairs.csv").touch()
    with pytest.raises(Refused, match=r"end in \.jsonl"):
        read_cases(str(tmp_path / "pairs.csv"))
    (tmp_path / "pairs.parquet").write_bytes(b"nothing")
    with pytest.raises(Refused, match="not a readable Parquet file"):
        read_cases(str(tmp_path / "pairs.parquet"))


def test_parquet_says_the_same_as_json_lines(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "subset": "Math", "prompt": "2+2", "chosen": ["4"], "rejected": ["5", "6", "7"], "extra": 1.5},
        {"id": "2", "subset": "Math", "prompt": "3+3", "chosen": ["6"], "rejected": ["5"], "extra": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    from_parquet = read_cases(str(tmp_path / "pairs.parquet"))
    from_lines = read_cases(written(tmp_path, *rows))
    assert [c.responses for c in from_parquet] == [c.responses for c in from_lines]
    assert [(c.case_id, c.subset, c.prompt_id) for c in from_parquet] == [
        (c.case_id, c.subset, c.prompt_id) for c in from_lines
    ]
    assert from_parquet[1].place.endswith("pairs.parquet, row 2")


def test_a_limit_spreads_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, *({**GOOD, "id": n} for n in range(10)))
    assert [c.case_id for c in read_cases(path, 5)] == ["0", "2", "4", "6", "8"]
    assert len(read_cases(path, 99)) == 10
    with pytest.raises(Refused, match="--limit 0"):
        read_cases(path, 0)


def test_a_case_without_the_answer_that_the_judge_needs_is_named(tmp_path: Path) -> None:
    cases = read_cases(written(tmp_path, {**GOOD, "answer": "4"}, GOOD))
    refuse_without_answers(cases[:1], "verifier")
    with pytest.raises(Refused, match=r"line 2: `answer` is missing, and judge=verifier"):
        refuse_without_answers(cases, "verifier")
