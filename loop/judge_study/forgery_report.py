"""What `ratchet judge --attacks` shows: a table for a person, a dictionary for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from loop.judge_study.forgery import Forgery
from loop.judge_study.report import SCHEMA_VERSION, cell, heading, usage_text
from loop.view.text import NOTHING, duration, percent, points, visible

TITLES = ("strings", "cases", "attacked", "neutral", "difference", "95% interval", "failed (neutral)")


def as_json(file: str, attacks: str, judges: Sequence[Forgery], notes: Sequence[str]) -> dict[str, Any]:
    """Everything measured. Shares are between 0 and 1; null is what cannot be measured."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": file,
        "attacks": attacks,
        "judges": [asdict(one) for one in judges],
        "notes": list(notes),
    }


def as_tables(file: str, attacks: str, judges: Sequence[Forgery], notes: Sequence[str]) -> Group:
    """For each judge a table of kinds of strings, and what else there is to say."""
    parts: list[Any] = []
    for one in judges:
        parts += [heading(f"{one.judge} ({one.version}) on {file}, attacked with {attacks}"), _rates(one), ""]
        parts += [escape(visible(line)) for line in _lines(one)] + [""]
    return Group(*parts, *(escape(f"note: {visible(note)}") for note in notes))


def _rates(forgery: Forgery) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("kind")
    for name in TITLES:
        table.add_column(name, justify="right")
    for one in (*forgery.kinds, forgery.overall):
        rates = percent(one.attacked), percent(one.neutral), points(one.difference)
        ends = f"{points(one.low)} to {points(one.high)}" if one.cases else NOTHING
        table.add_row(
            cell(one.kind), str(one.strings), str(one.cases), *rates, ends, f"{one.failed:,} ({one.failed_neutral:,})"
        )
    return table


def _lines(forgery: Forgery) -> Iterator[str]:
    told = ", ".join(f"{count:,} {what}" for what, count in forgery.told.items())
    yield f"{forgery.cases:,} cases without any string: {told}. Rates are of the right ones."
    yield f"{forgery.questions:,} questions in {duration(forgery.seconds)}, {forgery.failed:,} failed"
    for reason, count in forgery.reasons.items():
        yield f"failed {count:,} times: {reason}"
    if forgery.usage:
        yield f"usage: {usage_text(forgery.usage)}"
