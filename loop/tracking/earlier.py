"""What earlier processes of a run gave to Weights & Biases, read from the files that they left: the truth about what
must not be given again, also after a crash.

A `.wandb` file holds protobuf records in the LevelDB log format, after a header of seven bytes: blocks of 32 KiB, in
which records are cut and go on in the next one. A process that was killed leaves a torn end.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loop.tracking.metrics import ROUND, SECONDS, STEP

BLOCK = 32 * 1024
FILE_HEADER = 7
RECORD_HEADER = struct.Struct("<IHB")  # checksum, length, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

Point = tuple[str, float | None, float | None]
"""A metric, and the round and step at which it was given."""


@dataclass(slots=True)
class Earlier:
    """`points` on the axes of rounds and steps, titles of `alerts`, `artifacts` by name and alias; `seconds` is the end
    of the samples' axis, `next_step` the first of wandb's own steps that is free."""

    points: set[Point] = field(default_factory=set)
    alerts: set[str] = field(default_factory=set)
    artifacts: set[tuple[str, str]] = field(default_factory=set)
    seconds: float = 0.0
    next_step: int = 0

    def add_row(self, row: dict[str, Any]) -> None:
        """A row of history."""
        self.next_step = max(self.next_step, int(row.get("_step", -1)) + 1)
        if SECONDS in row:
            self.seconds = max(self.seconds, float(row[SECONDS]))
            return
        at = row.get(ROUND), row.get(STEP)
        self.points |= {(name, *at) for name in row if name[0] != "_" and name not in (ROUND, STEP)}

    def new(self, row: dict[str, Any]) -> dict[str, Any]:
        """What of a row on the axes of rounds and steps was not given yet, with its place; empty if nothing."""
        at = row.get(ROUND), row.get(STEP)
        left = {n: v for n, v in row.items() if n not in (ROUND, STEP) and (n, *at) not in self.points}
        return {n: row[n] for n in (ROUND, STEP) if n in row} | left if left else {}


def read_earlier(folder: Path, run_id: str) -> Earlier:
    """What the processes that had this run in this folder have given, online or offline."""
    earlier = Earlier()
    for path in sorted(folder.glob(f"wandb/*/run-{run_id}.wandb")):
        for record in _records(path):
            kind = record.WhichOneof("record_type")
            if kind == "history":
                earlier.add_row(_row(record.history))
            elif kind == "alert":
                earlier.alerts.add(record.alert.title)
            elif kind == "artifact":
                earlier.artifacts |= {(record.artifact.name, alias) for alias in record.artifact.aliases}
    return earlier


def _row(history: Any) -> dict[str, Any]:
    """A row's numbers; a table or chart stands there under its own name, without what belongs to it."""
    row: dict[str, Any] = {}
    for item in history.item:
        name, *inside = item.nested_key or [item.key]
        row[name.removesuffix("_table")] = None if inside else json.loads(item.value_json)
    return row


def _records(path: Path) -> Iterator[Any]:
    """The records of a file in the order in which they were written, as far as they are whole."""
    from wandb.proto.wandb_internal_pb2 import Record

    data = path.read_bytes()
    at, parts = FILE_HEADER, b""
    while at + RECORD_HEADER.size <= len(data):
        if BLOCK - at % BLOCK < RECORD_HEADER.size:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = RECORD_HEADER.unpack_from(data, at)
        at += RECORD_HEADER.size
        if kind not in (FULL, FIRST, MIDDLE, LAST) or at + length > len(data):
            return
        parts = data[at : at + length] if kind in (FULL, FIRST) else parts + data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            yield Record.FromString(parts)
