"""`ratchet inspect`: what was found in a run, as lines for people or JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from loop.errors import Refused
from loop.finding import find_run
from loop.inspecting import inspect_run
from loop.provenance import inspect_example
from loop.query import query
from loop.view import PLAIN_WIDTH, can_draw
from loop.view.example_lines import example_lines
from loop.view.row_lines import row_lines
from loop.view.run_lines import run_lines
from loop.view.terminal import STYLES
from loop.view.text import Line, plain


def inspect(run: str, example: str | None, sql: str | None, as_json: bool) -> int:
    """Print a run, one of its examples, or the answer to a query; the exit status. Raises: Refused."""
    if example is not None and sql is not None:
        raise Refused("ratchet inspect shows an example or the answer to --sql, not both at once")
    folder, width = find_run(run), shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
    found: Any
    if sql is not None:
        table = query(folder, sql)
        found, lines = (table.to_pylist(), []) if as_json else (None, row_lines(table, width))
    elif example is not None:
        one = inspect_example(folder, example)
        found, lines = dataclasses.asdict(one), example_lines(one, width)
    else:
        whole = inspect_run(folder)
        found, lines = dataclasses.asdict(whole), run_lines(whole, width, time.time())
    try:
        if as_json:
            print(json.dumps(portable(found), indent=2, ensure_ascii=False))
        else:
            show(lines, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, such as `head`, has seen enough; Python would try again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def show(lines: Iterable[Line], file: TextIO) -> None:
    """Lines with their tones on a terminal, without anywhere else."""
    if not can_draw(file.isatty(), os.environ):
        print(*(plain(line) for line in lines), sep="\n", file=file)
        return
    console = Console(file=file, no_color=bool(os.environ.get("NO_COLOR")))
    for line in lines:
        console.print(Text.assemble(*((text, STYLES[tone]) for text, tone in line)), soft_wrap=True, highlight=False)


def portable(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite are null, what has no JSON form is text."""
    if isinstance(value, dict):
        return {str(key): portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)
