"""From figures to diagnostics: a colour and a sentence for each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loop.diagnostics.diagnostic import Diagnostic
from loop.diagnostics.rules import Case, Figures
from loop.diagnostics.table import ROWS, told

if TYPE_CHECKING:
    from loop.summary import RoundSummary

DIGITS = 6
"""Significant digits of a value that is kept."""


def diagnose(figures: Mapping[str, float], before: Sequence[RoundSummary]) -> list[Diagnostic]:
    """The diagnostics of a round from its figures by name, in the order of the table; `before` are the closed rounds,
    from round 0 on. Nothing is said of what was not measured."""
    now = {name: float(f"{value:.{DIGITS}g}") for name, value in figures.items()}
    earlier = [figures_of(one) for one in before]
    found = []
    for row in ROWS:
        if row.name in now:
            colour = row.rule.of(Case(row.name, now, earlier))
            found.append(Diagnostic(row.name, now[row.name], colour, told(row, now[row.name], colour)))
    return found


def figures_of(summary: RoundSummary) -> Figures:
    """What a closed round tells: the values of its diagnostics, and its gold score's interval."""
    return {one.name: one.value for one in summary.diagnostics} | of_summary(summary)


def of_summary(summary: RoundSummary) -> dict[str, float]:
    """Figures that stand in a summary: the gold score with its interval, and how the steps and the push went."""
    steps = summary.steps + summary.skipped_steps
    known: dict[str, float | None] = {
        "gold_score": summary.gold_score,
        "gold_low": summary.gold_low,
        "gold_high": summary.gold_high,
        "grad_norm": summary.grad_norm,
        "skipped_steps": summary.skipped_steps / steps if steps else None,
        "push_gap": summary.push_gap,
    }
    return {name: value for name, value in known.items() if value is not None}
