"""Preference files -> cases: JSON Lines or Parquet, as RewardBench has them (`chosen` and `rejected` are strings) and
RewardBench 2 (they are lists: best of four, and several right responses in the subset `Ties`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loop.config import PromptSource, Template
from loop.errors import Refused, nearest
from loop.prompts.canonical import canonical_row
from loop.prompts.reading import RawRow, kind_of, read_source
from loop.records import Message

SIDES = ("chosen", "rejected")
ASKING = ("prompt", "messages", "system", "answer")
COLUMNS = (*ASKING, *SIDES, "subset", "id")
WHOLE = "all"
"""The subset of cases that name none."""


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt with responses of which every chosen one is better than every rejected one. `place` names file and
    line (or row, from 1)."""

    place: str
    case_id: str
    subset: str
    prompt_id: str
    conversation: list[Message]
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    answer: str | None = None

    @property
    def responses(self) -> tuple[str, ...]:
        """The chosen ones, then the rejected ones."""
        return (*self.chosen, *self.rejected)


def read_cases(path: str, limit: int | None = None) -> list[Case]:
    """The cases of a file in order; with a limit so many of them, spread evenly over the file.

    Raises: Refused for a file that cannot be read, and for the first bad line, by its number and key.
    """
    cases = [_case(row, number) for number, row in enumerate(_rows(path), start=1) if row is not None]
    if not cases:
        raise Refused(f"{path} holds no case.")
    if limit is None or limit >= len(cases):
        return cases
    if limit < 1:
        raise Refused(f"--limit {limit}: at least one case is needed.")
    return [cases[i * len(cases) // limit] for i in range(limit)]


def refuse_without_answers(cases: Sequence[Case], judge: str) -> None:
    """Raises: Refused naming the first case without the reference answer that this judge needs."""
    for case in cases:
        if case.answer is None:
            raise Refused(f"{case.place}: `answer` is missing, and judge={judge} needs it in every case.")


def _rows(path: str) -> Iterator[RawRow | None]:
    file = Path(path).expanduser()
    if not file.is_file():
        near = nearest(file.name, [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else [])
        raise Refused(f"{path} is not a file{near}.")
    if file.suffix.lower() == ".parquet":
        return _parquet(file, path)
    if file.suffix.lower() in (".jsonl", ".json"):
        return read_source(PromptSource(path))
    raise Refused(f"{path}: preference files end in .jsonl, .json (one object per line) or .parquet.")


def _parquet(file: Path, path: str) -> Iterator[RawRow]:
    number = 0
    try:
        with pq.ParquetFile(file) as table:
            known = [name for name in COLUMNS if name in table.schema_arrow.names]
            for batch in table.iter_batches(columns=known):
                for row in batch.to_pylist():
                    number += 1
                    yield RawRow(f"{path}, row {number}", row)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}.") from error


def _case(row: RawRow, number: int) -> Case:
    asking: Mapping[str, Any] = {key: row.columns[key] for key in ASKING if key in row.columns}
    prompt = canonical_row(RawRow(row.place, asking), "", Template.chat, None).prompt
    chosen, rejected = (_responses(row, side) for side in SIDES)
    if both := set(chosen) & set(rejected):
        row.refuse(f"`chosen` and `rejected` hold the same response {min(both)[:40]!r}")
    return Case(
        place=row.place,
        case_id=_name(row, "id", str(number)),
        subset=_name(row, "subset", WHOLE),
        prompt_id=prompt.prompt_id,
        conversation=prompt.turns(),
        chosen=chosen,
        rejected=rejected,
        answer=prompt.answer,
    )


def _responses(row: RawRow, side: str) -> tuple[str, ...]:
    value = row.columns.get(side)
    if value is None:
        row.refuse(f"`{side}` is missing")
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        row.refuse(f"`{side}` must be a string or a list of strings, not {kind_of(value)}")
    if not texts:
        row.refuse(f"`{side}` is an empty list")
    for text in texts:
        if not isinstance(text, str):
            row.refuse(f"`{side}` holds {kind_of(text)}, where every response must be a string")
    return tuple(texts)


def _name(row: RawRow, key: str, otherwise: str) -> str:
    value = row.columns.get(key)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, str | int):
        row.refuse(f"`{key}` must be a string or a whole number, not {kind_of(value)}")
    return str(value) or otherwise
