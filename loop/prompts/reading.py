"""Files and hub data sets -> raw rows: JSON Lines, Parquet, and `hf://OWNER/NAME` through Hugging Face `datasets`."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from loop.config import PromptSource
from loop.errors import Refused

COLUMNS = (
    "prompt",
    "messages",
    "answer",
    "completion",
    "chosen",
    "rejected",
    "label",
    "teacher",
    "system",
    "source",
)

_HUB = re.compile(r"hf://([\w.-]+/[\w.-]+)")
_BATCH_ROWS = 1024
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    bytes: "binary data",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it was read. `place` names file and line (or row, from 1); a column that is null counts as absent."""

    place: str
    columns: Mapping[str, Any]

    def refuse(self, problem: str) -> NoReturn:
        """Raise `Refused` with the row's place and the problem."""
        raise Refused(f"{self.place}: {problem}.")


def kind_of(value: object) -> str:
    """What a value is, in words of JSON."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def source_name(source: PromptSource) -> str:
    """The name of a source in messages, tables and draws: its path, and the split of a hub data set."""
    return f"{source.path}:{source.split}" if _is_hub(source.path) else source.path


def source_label(source: PromptSource) -> str:
    """What a source is called in rows: without the folder, which says where it lay and nothing about its content."""
    return source_name(source) if _is_hub(source.path) else Path(source.path).name


def read_source(source: PromptSource) -> Iterator[RawRow | None]:
    """The rows of one source in order; None stands for a blank line.

    Raises `Refused` for a missing or unreadable file, an extension that no reader knows, and a malformed line.
    """
    if _is_hub(source.path):
        return _read_hub(source)
    path = Path(source.path).expanduser()
    if not path.exists():
        raise Refused(f"prompt file {source.path} does not exist{_near(path)}.")
    if path.is_dir():
        raise Refused(f"{source.path} is a folder, not a prompt file.")
    if path.suffix.lower() in (".jsonl", ".json"):
        return _read_json_lines(path, source.path)
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path, source.path)
    raise Refused(
        f"{source.path} has the extension {path.suffix or '(none)'}; "
        "prompt files end in .jsonl, .json (one object per line) or .parquet."
    )


def _is_hub(path: str) -> bool:
    return path.startswith("hf://")


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor does its folder {path.parent})"
    names = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=3)
    return f"; the same folder holds {', '.join(names)}" if names else ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _read_json_lines(path: Path, name: str) -> Iterator[RawRow | None]:
    try:
        with path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                yield _json_row(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, f"{name}, line {number}")
    except OSError as error:
        raise Refused(f"{name} cannot be read: {error.strerror}.") from error


def _json_row(line: bytes, place: str) -> RawRow | None:
    if not line.strip():
        return None
    try:
        value = json.loads(line.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as error:
        raise Refused(f"{place}: byte {error.start + 1} of the line is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise Refused(f"{place}: not valid JSON at column {error.colno} ({error.msg}).") from error
    except ValueError as error:
        raise Refused(f"{place}: not valid JSON ({_first_line(error)}).") from error
    except RecursionError as error:
        raise Refused(f"{place}: the JSON is nested too deeply.") from error
    if not isinstance(value, dict):
        raise Refused(f"{place}: the line is {kind_of(value)}, not a JSON object.")
    return RawRow(place, value)


def _read_parquet(path: Path, name: str) -> Iterator[RawRow]:
    try:
        with pq.ParquetFile(path) as file:
            batches = file.iter_batches(_BATCH_ROWS, columns=_known(file.schema_arrow.names, name))
            yield from _numbered((row for batch in batches for row in batch.to_pylist()), name)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{name} is not a readable Parquet file: {_first_line(error)}.") from error


def _read_hub(source: PromptSource) -> Iterator[RawRow]:
    name = source_name(source)
    matched = _HUB.fullmatch(source.path)
    if matched is None:
        raise Refused(f"{source.path} does not name a data set on a hub, as hf://OWNER/NAME does.")
    try:
        import datasets
    except ImportError as error:
        raise Refused(f"reading {source.path} needs the package `datasets`, which is not installed.") from error
    try:
        data = datasets.load_dataset(matched[1], split=source.split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise Refused(f"{name} could not be loaded from the hub: {_first_line(error)}.") from error
    batches = data.select_columns(_known(data.column_names, name)).iter(_BATCH_ROWS)
    rows = (dict(zip(batch, values, strict=True)) for batch in batches for values in zip(*batch.values(), strict=True))
    yield from _numbered(rows, name)


def _known(names: Sequence[str], source: str) -> list[str]:
    if "prompt" not in names and "messages" not in names:
        raise Refused(
            f"{source} has no column `prompt` or `messages`, only {', '.join(sorted(names)) or 'no columns'}."
        )
    return [name for name in COLUMNS if name in names]


def _numbered(rows: Iterator[Mapping[str, Any]], name: str) -> Iterator[RawRow]:
    for number, row in enumerate(rows, start=1):
        yield RawRow(f"{name}, row {number}", row)
