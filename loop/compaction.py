"""Small files of closed rounds are merged into larger ones, so that a run of many small rounds stays quick to read.

A merged file keeps its rows in the order of rounds and shards and tells in its footer how many rows of each round it
holds. Only closed rounds are merged: the shards of an open one are still asked for by number.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from loop.errors import Damaged
from loop.ledger_tables import TableFile
from loop.records import ShardRef
from loop.shards import ROUNDS, encode, named, parquet, verify
from loop.store import Store

MIN_FILES = 64
"""Small files that make a merge worth its while."""

SMALL_BYTES = 8 * 2**20
TARGET_BYTES = 32 * 2**20
"""A file of `SMALL_BYTES` or more stays as it is; a merged one comes to `TARGET_BYTES` at most, and the driver's memory
for it to a few times that."""

SAFE_AGE_H = 24
"""Hours after which a file that no table names any more is removed: a reader that began before has ended."""

_NAME = re.compile(r"rounds-(\d+)-(\d+)-([0-9a-f]{64})\.parquet")


def merged_name(name: str) -> tuple[int, int, str] | None:
    """First round, last round and sha256 that a merged file's name tells; None for any other file."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def mergeable_later(file: TableFile, closed: int) -> bool:
    """Whether a file could be merged but for a round that is not closed, `closed` being the last that is."""
    rounds = _rounds(file)
    return rounds is not None and rounds[1] > closed


def plan(files: Sequence[TableFile], closed: int) -> list[list[TableFile]]:
    """Which files to merge with which: small ones of rounds up to `closed`, in their order; none while they are few."""
    known = [(file, _rounds(file)) for file in files if file.size < SMALL_BYTES]
    small = [file for file, rounds in known if rounds is not None and rounds[1] <= closed]
    if len(small) < MIN_FILES:
        return []
    merges: list[list[TableFile]] = [[]]
    for file in sorted(small, key=_place):
        if sum(f.size for f in merges[-1]) + file.size > TARGET_BYTES:
            merges.append([])
        merges[-1].append(file)
    return [merge for merge in merges if len(merge) > 1]


def merge(store: Store, folder: str, files: Sequence[TableFile]) -> tuple[TableFile, list[TableFile]] | None:
    """Write files of one folder as one. Returns it and those whose rows it holds; None when nothing was merged.

    A damaged file stays where it is, so that whoever reads it is told. Raises: StoreFailed.
    """
    tables, merged, rows = [], [], Counter[int]()
    for file in files:
        with contextlib.suppress(Damaged):
            path = f"{store.root}/{folder}/{file.name}"
            verify(ShardRef("", 0, 0, path, file.rows, _digest(file.name), {}))
            with parquet(path) as source:
                rows.update(rounds_in(source, file.name))
                tables.append(source.read().replace_schema_metadata(None))
            merged.append(file)
    if len(merged) < 2:
        return None
    footer = {ROUNDS: json.dumps(dict(sorted(rows.items()))).encode()}
    data = encode(pa.concat_tables(tables).replace_schema_metadata(footer))
    low, high = min(rows), max(rows)
    name = f"rounds-{low:06d}-{high:06d}-{hashlib.sha256(data).hexdigest()}.parquet"
    store.write(f"{folder}/{name}", data)
    filled = [round for round, count in rows.items() if count]
    lowest, highest = (min(filled), max(filled)) if filled else (None, None)
    return TableFile(name, len(data), rows.total(), lowest, highest), merged


def rounds_in(file: pq.ParquetFile, name: str) -> dict[int, int]:
    """How many rows of each round a committed file holds."""
    metadata = file.metadata.metadata or {}
    if ROUNDS in metadata:
        return {int(round): rows for round, rows in json.loads(metadata[ROUNDS]).items()}
    shard = named(name)
    return {shard[0]: file.metadata.num_rows} if shard else {}


def _digest(name: str) -> str:
    known = named(name) or merged_name(name)
    return known[2] if known else ""


def _rounds(file: TableFile) -> tuple[int, int] | None:
    """First and last round of a file that may be merged: a merged one, or a shard whose rows all are of its round."""
    if merged := merged_name(file.name):
        return merged[:2]
    shard = named(file.name)
    if shard and (file.rows == 0 or file.low == file.high == shard[0]):
        return shard[0], shard[0]
    return None


def _place(file: TableFile) -> tuple[int, int, str]:
    """By rounds, then merged files before shards, then by shard."""
    rounds = _rounds(file) or (0, 0)
    return rounds[0], 0 if merged_name(file.name) else 1, file.name
