"""The answer to a query: a table where it fits, otherwise one block per row."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from loop.view.text import NOTHING, Line, count, labelled, visible

MOST = 100
"""Rows that are shown."""

LONGEST = 60
"""Characters of a cell that are shown in a table, and ten times as many in a block."""


def row_lines(table: pa.Table, width: int) -> list[Line]:
    """All lines. A cell is one line, and nothing in it can change the terminal."""
    names = [visible(name) for name in table.column_names]
    shown = table.slice(0, MOST)
    columns = [[_cell(value) for value in column.to_pylist()] for column in shown.columns]
    rows = list(zip(*columns, strict=True))
    widths = [
        max([len(name), *(min(len(cell), LONGEST) for cell in column)])
        for name, column in zip(names, columns, strict=True)
    ]
    if sum(widths) + 2 * (len(widths) - 1) <= width or not rows:
        right = [_is_number(kind) for kind in table.schema.types]
        lines = [_aligned(names, widths, right, "dim"), *(_aligned(row, widths, right, "") for row in rows)]
    else:
        lines = []
        for row in rows:
            cut = [_cut(cell, 10 * LONGEST) for cell in row]
            lines += [*labelled(zip(names, cut, strict=True), width), ()]
    return [*lines, *_rest(table.num_rows)]


def _rest(rows: int) -> list[Line]:
    if rows == 0:
        return [(("no rows", "dim"),)]
    return [((f"{MOST} of {count(rows)} rows; --json prints all", "dim"),)] if rows > MOST else []


def _aligned(cells: Any, widths: list[int], right: list[bool], tone: Any) -> Line:
    parts = [
        _cut(cell, LONGEST).rjust(size) if number else _cut(cell, LONGEST).ljust(size)
        for cell, size, number in zip(cells, widths, right, strict=True)
    ]
    return (("  ".join(parts), tone),)


def _cell(value: Any) -> str:
    """A value on one line; floats with six digits."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.6g}"
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
