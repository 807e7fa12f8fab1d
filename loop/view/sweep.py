"""What the runs of a sweep came to, one line each."""

from __future__ import annotations

from collections.abc import Sequence

from loop.summary import RunSummary
from loop.view.text import percent

HEAD = ("run", "seed", "initial", "rounds", "change")


def sweep_lines(summaries: Sequence[RunSummary]) -> list[str]:
    """An aligned table: run, seed, initial gold score, that of every round, change of the last one in points."""
    rows = [HEAD, *(_row(summary) for summary in summaries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(summary: RunSummary) -> tuple[str, ...]:
    first, last = summary.initial.gold_score, summary.last.gold_score
    change = f"{100 * (last - first):+.1f}" if first is not None and last is not None else "-"
    scores = "  ".join(percent(one.gold_score) for one in summary.rounds)
    return (summary.run, str(summary.seed), percent(first), scores, change)
