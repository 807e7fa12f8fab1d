"""Shard files: lists of rows (dataclasses of `loop.records`) written as Parquet and read back.

A file's name holds the sha256 of its bytes. So the same rows always make the same file, a straggler with other rows
cannot overwrite a committed one, and the name alone tells what a file must contain. Sums over the rows stand in its
footer: a handle can be made again from the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loop.errors import Damaged
from loop.records import ShardRef
from loop.store import open_store, split, told_plainly

Row = TypeVar("Row")

EPOCH_ROUNDS = 1000
"""Rounds that share one Delta table. Measured with a commit per file on a local disk: a commit costs 7 ms in a young
table, 20 ms after 500 commits, 37 ms after 2,000; to take a run over costs 4 ms for each table of each epoch."""

STATS = b"ratchet.stats"
ROUNDS = b"ratchet.rounds"

_NAME = re.compile(r"round-(\d+)-shard-(\d+)-([0-9a-f]{64})\.parquet")
_SCALARS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_ELEMENTS: dict[Any, pa.DataType] = {int: pa.int32(), float: pa.float32(), bool: pa.bool_(), str: pa.string()}


def _arrow_type(annotation: Any) -> pa.DataType:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        (annotation,) = [a for a in typing.get_args(annotation) if a is not type(None)]
        return _arrow_type(annotation)
    if origin is list:
        return pa.list_(_ELEMENTS[typing.get_args(annotation)[0]])
    return _SCALARS[annotation]


@cache
def schema_of(row_type: type) -> pa.Schema:
    """The Arrow schema of a row dataclass: numbers inside lists are 32 bits wide, others 64."""
    hints = typing.get_type_hints(row_type)
    return pa.schema([(f.name, _arrow_type(hints[f.name])) for f in dataclasses.fields(row_type)])


def to_table(rows: Sequence[Row], row_type: type[Row]) -> pa.Table:
    """Rows as an Arrow table, columns in the order of the dataclass's fields."""
    schema: pa.Schema = schema_of(row_type)  # type: ignore[arg-type]
    return pa.table(
        {name: pa.array([getattr(r, name) for r in rows], schema.field(name).type) for name in schema.names},
        schema=schema,
    )


def from_table(table: pa.Table, row_type: type[Row]) -> list[Row]:
    """The inverse of `to_table`."""
    names = schema_of(row_type).names  # type: ignore[arg-type]
    columns = [table.column(name).to_pylist() for name in names]
    return [row_type(*values) for values in zip(*columns, strict=True)]


def epoch_of(round: int) -> str:
    """The folder, inside a table's, that holds a round: the first round of its epoch, six digits."""
    return f"{round // EPOCH_ROUNDS * EPOCH_ROUNDS:06d}"


def write_shard(
    root: str | Path,
    table: str,
    round: int,
    shard: int,
    rows: Sequence[Row],
    row_type: type[Row],
    stats: Mapping[str, float] | None = None,
) -> ShardRef:
    """Write rows as one shard file below `root`, a folder or URL, and return its handle. It is not committed yet.

    Raises: StoreFailed when the store refuses.
    """
    sums = dict(stats or {})
    footer = {STATS: json.dumps(sums, sort_keys=True).encode()}
    data = encode(to_table(rows, row_type).replace_schema_metadata(footer))
    digest = hashlib.sha256(data).hexdigest()
    name = f"{table}/{epoch_of(round)}/round-{round:06d}-shard-{shard:06d}-{digest}.parquet"
    return ShardRef(table, round, shard, open_store(root).write(name, data), len(rows), digest, sums)


def encode(table: pa.Table) -> bytes:
    """A table as a Parquet file with checksums, its metadata in the footer; the same table gives the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def named(name: str) -> tuple[int, int, str] | None:
    """Round, shard and sha256 that a shard file's name tells; None for any other file."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def read_shard(ref: ShardRef | str, row_type: type[Row]) -> list[Row]:
    """All rows of one shard; of a file that holds several rounds, those of the handle's round.

    Raises: Damaged when the file is not there or not readable, StoreFailed when the store is not.
    """
    return from_table(read_arrow(ref, schema_of(row_type).names), row_type)  # type: ignore[arg-type]


def read_shards(refs: Iterable[ShardRef], row_type: type[Row]) -> list[Row]:
    """All rows of several shards, in the order of the handles."""
    return [row for ref in refs for row in read_shard(ref, row_type)]


def read_columns(ref: ShardRef | str, names: Sequence[str]) -> list[list[Any]]:
    """Some columns of one shard, each a list with one value per row. Raises: as `read_shard`."""
    return [column.to_pylist() for column in read_arrow(ref, names).columns]


def read_arrow(ref: ShardRef | str, names: Sequence[str]) -> pa.Table:
    """Some columns of one shard as an Arrow table. Raises: as `read_shard`."""
    path = ref if isinstance(ref, str) else ref.path
    with parquet(path) as file:
        if isinstance(ref, str) or ROUNDS not in (file.schema_arrow.metadata or {}):
            return file.read(list(names)).replace_schema_metadata(None)
        table = file.read([*names, *({"round"} - set(names))])
    return table.filter(pc.equal(table["round"], ref.round)).select(names).replace_schema_metadata(None)


def measure(path: str) -> tuple[int, int, int | None, int | None]:
    """Bytes and rows of a file, and the least and largest value of its `round` column, where it has one. Raises: as
    `read_shard`."""
    with _source(path) as source:
        file = pq.ParquetFile(source)
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        columns = [group.column(i) for group in groups for i in range(group.num_columns)]
        known = [c.statistics for c in columns if c.path_in_schema == "round" and c.statistics is not None]
        found = [statistics for statistics in known if statistics.has_min_max]
        low, high = min((s.min for s in found), default=None), max((s.max for s in found), default=None)
        return source.size(), file.metadata.num_rows, low, high


@contextlib.contextmanager
def parquet(path: str) -> Iterator[pq.ParquetFile]:
    """An open Parquet file, for reading piece by piece. Raises: as `read_shard`."""
    with _source(path) as source:
        yield pq.ParquetFile(source, page_checksum_verification=True)


@contextlib.contextmanager
def _source(path: str) -> Iterator[pa.NativeFile]:
    folder, name = split(path)
    store = open_store(folder)
    try:
        with told_plainly(path), store.open(name) as source:
            try:
                yield source
            except OSError as error:
                # pyarrow reports broken content and an unreachable store alike
                if error.errno is None and store.exists(name):
                    raise pa.ArrowInvalid(str(error)) from error
                raise
    except FileNotFoundError as error:
        raise Damaged(f"{path} was committed and is not there.") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise Damaged(f"{path} was committed and cannot be read as Parquet.") from error


def is_damaged(ref: ShardRef) -> bool:
    """Whether `verify` finds fault with a shard."""
    try:
        verify(ref)
    except Damaged:
        return True
    return False


def verify(ref: ShardRef) -> None:
    """Check that a shard's file has the content that its handle tells.

    Raises: Damaged when it has not or is missing, StoreFailed when the store cannot be read.
    """
    folder, name = split(ref.path)
    try:
        data = open_store(folder).read(name)
    except FileNotFoundError as error:
        raise Damaged(f"{ref.path} was committed and is not there.") from error
    if hashlib.sha256(data).hexdigest() != ref.digest:
        raise Damaged(f"{ref.path} does not have the content that was committed.")
