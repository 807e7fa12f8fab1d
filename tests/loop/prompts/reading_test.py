"""Files and hub data sets -> raw rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loop.config import PromptSource
from loop.errors import Refused
from loop.prompts.reading import read_source, source_name


def rows_of(path: Path | str, **source: Any) -> list[tuple[str, dict[str, Any]] | None]:
    rows = read_source(PromptSource(str(path), **source))
    return [(row.place.removeprefix(str(path)), dict(row.columns)) if row else None for row in rows]


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "P.JSONL"])
def test_json_lines_keep_their_numbers_and_blank_lines_are_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a\xc3\xa4"}\r\n\r\n{"prompt": "b\xe2\x80\xa8c"}')
    assert rows_of(path) == [(", line 1", {"prompt": "aä"}), None, (", line 3", {"prompt": "b\u2028c"})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"prompt": ', "line 2: not valid JSON at column 12"),
        (b"[1, 2]", "line 2: the line is a list, not a JSON object"),
        (b'{"prompt": "\xff"}', "line 2: byte 13 of the line is not UTF-8"),
        (b'{"prompt": "a", "answer": ' + b"1" * 5000 + b"}", r"line 2: not valid JSON \(Exceeds the limit"),
        (b"[" * 100_000, "line 2: the JSON is nested too deeply"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'{"prompt": "a"}\n' + line + b"\n")
    with pytest.raises(Refused, match=problem) as refusal:
        rows_of(path)
    assert str(path) in str(refusal.value)


def test_a_missing_file_is_refused_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "train_prompts.jsonl").touch()
    with pytest.raises(Refused, match=r"does not exist; the same folder holds train_prompts\.jsonl\.$"):
        rows_of(tmp_path / "train_prompt.jsonl")
    with pytest.raises(Refused, match=r"does not exist\.$"):
        rows_of(tmp_path / "quite-different.parquet")
    with pytest.raises(Refused, match="nor does its folder"):
        rows_of(tmp_path / "nowhere" / "p.jsonl")


def test_folders_and_unknown_extensions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").touch()
    with pytest.raises(Refused, match=r"extension \.csv"):
        rows_of(tmp_path / "p.csv")
    with pytest.raises(Refused, match="is a folder"):
        rows_of(tmp_path)


def test_parquet_gives_known_columns_only(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "hello"}]
    pq.write_table(pa.table({"messages": [chat, chat], "answer": ["1", None], "junk": [1, 2]}), tmp_path / "p.parquet")
    assert rows_of(tmp_path / "p.parquet") == [
        (", row 1", {"messages": chat, "answer": "1"}),
        (", row 2", {"messages": chat, "answer": None}),
    ]


def test_parquet_without_prompts_and_broken_parquet_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), tmp_path / "p.parquet")
    with pytest.raises(Refused, match="no column `prompt` or `messages`, only answer, question"):
        rows_of(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").write_bytes(b"no parquet")
    with pytest.raises(Refused, match="is not a readable Parquet file"):
        rows_of(tmp_path / "p.parquet")


def test_a_hub_data_set_is_read_through_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    data = datasets.Dataset.from_dict({"prompt": ["a", "b"], "junk": [1, 2]})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: {("own-er/na.me", "test"): data}[name, split])
    rows = [row for row in read_source(PromptSource("hf://own-er/na.me", split="test")) if row]
    assert [(row.place, dict(row.columns)) for row in rows] == [
        ("hf://own-er/na.me:test, row 1", {"prompt": "a"}),
        ("hf://own-er/na.me:test, row 2", {"prompt": "b"}),
    ]


@pytest.mark.parametrize("error", [ConnectionError("Couldn't reach it\nlong story"), ValueError("Unknown split")])
def test_a_hub_that_cannot_be_reached_is_refused(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(
        Refused, match=rf"^hf://a/b:train could not be loaded from the hub: {str(error)[:10]}"
    ) as refusal:
        list(read_source(PromptSource("hf://a/b")))
    assert "long story" not in str(refusal.value)


def test_a_hub_path_needs_owner_and_name() -> None:
    with pytest.raises(Refused, match="hf://OWNER/NAME"):
        list(read_source(PromptSource("hf://gsm8k")))


def test_splits_of_a_hub_data_set_are_different_sources() -> None:
    assert source_name(PromptSource("hf://a/b")) != source_name(PromptSource("hf://a/b", split="test"))
    assert source_name(PromptSource("p.jsonl", split="test")) == "p.jsonl"
