"""What `ratchet judge` shows: tables for a person, a dictionary for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loop.judge_study.comparison import Difference, SideBySide
from loop.judge_study.figures import Accuracy, Figures
from loop.judge_study.ties import is_ties
from loop.view.text import NOTHING, duration, number, percent, points, rate, statistic, visible

SCHEMA_VERSION = 1


def as_json(file: str, judges: Sequence[Figures], compared: SideBySide | None, notes: Sequence[str]) -> dict[str, Any]:
    """Everything measured. Shares are between 0 and 1; null is what was not asked or cannot be measured."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": file,
        "judges": [asdict(one) for one in judges],
        "comparison": asdict(compared) if compared else None,
        "notes": list(notes),
    }


def as_tables(file: str, judges: Sequence[Figures], compared: SideBySide | None, notes: Sequence[str]) -> Group:
    """One table of accuracies and one of everything else for each judge, then the comparison."""
    parts: list[Any] = []
    for one in judges:
        parts += [heading(f"{one.judge} ({one.version}) on {file}"), _accuracies(one), "", _others(one), ""]
    if compared is not None:
        first, second = (f"{one.judge} ({one.version})" for one in judges)
        parts += [heading(f"{first} less {second}, in points"), _differences(compared), ""]
    return Group(*parts, *(escape(f"note: {visible(note)}") for note in notes))


def _accuracies(figures: Figures) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("subset")
    for title in ("cases", "accuracy", "95% interval", "decided", "ties", "failed"):
        table.add_column(title, justify="right")
    for one in (*figures.subsets, figures.overall) if len(figures.subsets) > 1 else (figures.overall,):
        shares = (percent(one.decided), percent(one.tied), percent(one.failed))
        table.add_row(
            cell(one.subset), str(one.cases), percent(one.accuracy), interval_text(one.low, one.high), *shares
        )
    for one in figures.subsets:
        if _is_scored(one):
            table.add_row(cell(f"{one.subset}, weighted score, at most 101%"), "", f"{100 * one.score:.1f}%")
    if len(figures.subsets) > 1:
        table.add_row(
            "macro average", "", f"{100 * figures.macro:.1f}%", interval_text(figures.macro_low, figures.macro_high)
        )
    return table


def _is_scored(one: Accuracy) -> bool:
    return is_ties(one.subset) and one.score != one.accuracy


def _others(figures: Figures) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    for label, value in _rows(figures):
        table.add_row(label, cell(value))
    return table


def _rows(figures: Figures) -> Iterator[tuple[str, str]]:
    if figures.consistent is not None:
        yield "same verdict in both orders", percent(figures.consistent)
    if figures.first_shown is not None:
        yield "prefers the response shown first", f"{percent(figures.first_shown)} of answers (50% without bias)"
    if figures.calibration_error is not None:
        yield "expected calibration error", number(figures.calibration_error)
    yield (
        "right by length",
        f"better one longer {percent(figures.longer_right)}, shorter {percent(figures.shorter_right)}; "
        f"correlation of preference and length {number(figures.length_correlation)}",
    )
    asked = f"{figures.questions:,} in {duration(figures.seconds)}"
    yield "questions", f"{asked} ({rate(figures.rate)})" if figures.rate else asked
    yield "cut, failed", f"{figures.cut:,}, {figures.failed:,}"
    for reason, count in figures.reasons.items():
        yield f"failed {count:,} times", reason
    if figures.usage:
        yield "usage", usage_text(figures.usage)


def usage_text(usage: Mapping[str, float]) -> str:
    """A judge's counters in one line."""
    return ", ".join(f"{name} {statistic(value)}" for name, value in usage.items())


def _differences(compared: SideBySide) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("subset")
    for title in ("cases", "difference", "95% interval", ""):
        table.add_column(title, justify="right")
    for one in (
        (*compared.subsets, compared.overall, compared.macro) if len(compared.subsets) > 1 else [compared.overall]
    ):
        ends = f"{points(one.low)} to {points(one.high)}"
        table.add_row(cell(one.subset), str(one.cases), points(one.difference), ends, _clear(one))
    table.add_row("same verdict", "", percent(compared.agreement))
    return table


def _clear(one: Difference) -> str:
    return "clear" if one.clear else ""


def interval_text(low: float, high: float) -> str:
    """Two shares as percentages."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def cell(text: str) -> str:
    """Foreign text for a table."""
    return escape(visible(text)) or NOTHING


def heading(text: str) -> Text:
    """What stands above a table, on one line whatever its length."""
    return Text(visible(text), style="bold", no_wrap=True, overflow="ignore")
