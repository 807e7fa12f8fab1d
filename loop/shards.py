"""Shard files: lists of rows (dataclasses of `loop.records`) written as Parquet and read back."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from loop.records import ShardRef

Row = TypeVar("Row")

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


def shard_file(root: str | Path, table: str, round: int, shard: int) -> Path:
    """Where a shard's file lies inside the run's store. One name per (table, round, shard): a retry overwrites, never
    doubles."""
    return Path(root) / table / f"round-{round:06d}-shard-{shard:06d}.parquet"


def write_shard(
    root: str | Path,
    table: str,
    round: int,
    shard: int,
    rows: Sequence[Row],
    row_type: type[Row],
    stats: Mapping[str, float] | None = None,
) -> ShardRef:
    """Write rows as one shard file (temporary name, flush, rename) and return its handle."""
    path = shard_file(root, table, round, shard)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(to_table(rows, row_type), temporary, compression="zstd")
    with open(temporary, "rb+") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        os.fsync(handle.fileno())
    os.replace(temporary, path)
    return ShardRef(table, round, shard, str(path), len(rows), digest, dict(stats or {}))


def read_shard(ref: ShardRef | str, row_type: type[Row]) -> list[Row]:
    """All rows of one shard file."""
    path = ref if isinstance(ref, str) else ref.path
    return from_table(pq.read_table(path, partitioning=None), row_type)


def read_shards(refs: Iterable[ShardRef], row_type: type[Row]) -> list[Row]:
    """All rows of several shards, in the order of the handles."""
    return [row for ref in refs for row in read_shard(ref, row_type)]
