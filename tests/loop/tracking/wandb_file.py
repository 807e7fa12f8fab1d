"""Reads the `.wandb` file of an offline run: protobuf records in the LevelDB log format, after a header of seven bytes.

A block has 32 KiB; records are cut at its end and go on in the next one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32 * 1024
FILE_HEADER = 7
RECORD_HEADER = struct.Struct("<IHB")  # checksum, length, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """The records of a file in the order in which they were written."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    at, parts = FILE_HEADER, b""
    while at + RECORD_HEADER.size <= len(data):
        if BLOCK - at % BLOCK < RECORD_HEADER.size:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = RECORD_HEADER.unpack_from(data, at)
        assert kind in (FULL, FIRST, MIDDLE, LAST)
        at += RECORD_HEADER.size
        if at + length > len(data):
            return  # whoever wrote it was killed
        parts = data[at : at + length] if kind in (FULL, FIRST) else parts + data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            yield Record.FromString(parts)


def run_record(path: Path) -> Any:
    """The record that opened the run."""
    return next(record.run for record in records(path) if record.WhichOneof("record_type") == "run")


def config(path: Path) -> dict[str, Any]:
    """The run's configuration."""
    return {item.key: json.loads(item.value_json) for item in run_record(path).config.update if item.key != "_wandb"}


def history(path: Path) -> list[dict[str, Any]]:
    """The rows of history; nested keys are joined with dots."""
    rows = [record.history for record in records(path) if record.WhichOneof("record_type") == "history"]
    return [{".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in row.item} for row in rows]


def step_metrics(path: Path) -> dict[str, str]:
    """The axis of every defined metric, by its name or pattern."""
    metrics = [record.metric for record in records(path) if record.WhichOneof("record_type") == "metric"]
    return {metric.name or metric.glob_name: metric.step_metric for metric in metrics}


def summary(path: Path) -> dict[str, Any]:
    """The newest value of every summary key."""
    updates = [record.summary for record in records(path) if record.WhichOneof("record_type") == "summary"]
    return {".".join(i.nested_key) or i.key: json.loads(i.value_json) for update in updates for i in update.update}


def exit_code(path: Path) -> int:
    """With which code the run was closed."""
    code: int = next(record.exit.exit_code for record in records(path) if record.WhichOneof("record_type") == "exit")
    return code


def alerts(path: Path) -> list[tuple[str, str, str]]:
    """Title, text and level of every alert."""
    found = [record.alert for record in records(path) if record.WhichOneof("record_type") == "alert"]
    return [(alert.title, alert.text, alert.level) for alert in found]


def artifacts(path: Path, kind: str) -> list[Any]:
    """The artifacts of a type."""
    found = [record.artifact for record in records(path) if record.WhichOneof("record_type") == "artifact"]
    return [artifact for artifact in found if artifact.type == kind]


def axis_of(path: Path, name: str) -> str | None:
    """The axis of a metric, by its own definition or that of the pattern that it matches."""
    axes = step_metrics(path)
    return axes.get(name) or next((axis for p, axis in axes.items() if p[-1] == "*" and name.startswith(p[:-1])), None)


def visualised(path: Path) -> dict[str, Any]:
    """The charts that the run's configuration declares, by name."""
    found: dict[str, Any] = {}
    for record in records(path):
        if record.WhichOneof("record_type") == "config":
            for item in record.config.update:
                keys = list(item.nested_key) or [item.key]
                if keys[:2] == ["_wandb", "visualize"]:
                    found[keys[2]] = json.loads(item.value_json)
    return found
