"""The figure of `ratchet bench recipes`: the gold score that each recipe reaches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from loop.bench_recipes_report import Gold, Outcome, Report, Row, rows_of

COLOURS = {"better": "C0", "unclear": "0.5", "worse": "C3"}


def draw(report: Report, file: Path) -> None:
    """One line for each recipe, the best on top: the mean with its interval, a ring for each seed, and the initial
    policy as a band."""
    rows = [(row, row.after) for row in rows_of(report)]
    shown = sorted(((row, after) for row, after in rows if after is not None), key=lambda pair: pair[1].mean)
    with mpl.rc_context({"svg.hashsalt": "ratchet", "font.size": 9, "legend.fontsize": 8, "text.parse_math": False}):
        figure = Figure(figsize=(8.0, 1.2 + 0.28 * max(4, len(shown))), layout="constrained")
        axes = figure.subplots()
        if (before := report.before) is not None:
            axes.axvspan(before.low, before.high, color="0.9", label="initial policy")
            axes.axvline(before.mean, color="0.6", linewidth=0.8)
        for at, (row, after) in enumerate(shown):
            _line(axes, at, row, after, [one for one in report.outcomes if one.recipe == row.recipe])
        axes.set_yticks(range(len(shown)), [row.recipe for row, _ in shown])
        axes.set_xlabel("gold score of the last policy, 95 % interval")
        axes.margins(y=0.6 / max(1, len(shown)))
        if before is not None:
            axes.legend(loc="lower right")
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def _line(axes: mpl.axes.Axes, at: int, row: Row, after: Gold, runs: Sequence[Outcome]) -> None:
    colour = COLOURS[row.change]
    spread = [[after.mean - after.low], [after.high - after.mean]]
    axes.errorbar([after.mean], [at], xerr=spread, fmt="o", color=colour, markersize=4, linewidth=1.2, capsize=2)
    if row.complete > 1:
        seeds = [one.after for one in runs if one.after is not None]
        axes.plot(seeds, [at] * len(seeds), "o", markersize=7, markerfacecolor="none", color=colour, linewidth=0.0)
