"""The three tables of `ratchet bench games`, for a person or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Group
from rich.table import Table

from loop.games.rates import Rate
from loop.games.study import NEAR_GAP, NEAR_KL, TAIL, Outcome
from loop.games.tilts import Tilt

SOLVES = {"regularised": "regularised", "nash": "Nash"}
REACHED = {"last": "last policy", "average": "average only", "neither": "neither"}


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured."""

    tilts: Sequence[Tilt]
    outcomes: Sequence[Outcome]
    rates: Sequence[Rate]


def as_figures(report: Report) -> dict[str, Any]:
    """Everything but the trajectories, by table and row."""
    return {
        "bradley_terry": [{name: getattr(row, name) for name in Tilt.__slots__} for row in report.tilts],
        "cyclic": [
            {name: getattr(row, name) for name in Outcome.__slots__ if name != "trajectory"} | {"reached": row.reached}
            for row in report.outcomes
        ],
        "rates": [{name: getattr(row, name) for name in Rate.__slots__ if name != "kl_T"} for row in report.rates],
    }


def as_tables(report: Report) -> Group:
    """Bradley-Terry preferences, one table for each cyclic game, rates."""
    cyclic = [_cyclic(name, list(rows)) for name, rows in groupby(report.outcomes, key=lambda row: row.game)]
    return Group(_transitive(report.tilts), *cyclic, _rates(report.rates), NOTES)


NOTES = (
    f"KL: from the equilibrium to the policy, nats. gap: what two best replies gain together. last: worst of the last "
    f"{TAIL:.0%} of the policies. Reached: KL < {NEAR_KL:g} (regularised), gap < {NEAR_GAP:g} (Nash). "
    "Nash-MD-PG rests where its mixture, not its policy, is an equilibrium."
)


def _transitive(rows: Sequence[Tilt]) -> Table:
    table = _table("Bradley-Terry preferences: policies and their closed forms")
    for title in ("method", "loss", "closed form"):
        table.add_column(title)
    for title in ("steps", "largest difference", "best is likeliest"):
        table.add_column(title, justify="right")
    for row in rows:
        likeliest = "yes" if row.best_is_likeliest else "no"
        table.add_row(row.method, row.loss, row.closed_form, f"{row.steps:,}", f"{row.difference:.0e}", likeliest)
    return table


def _cyclic(game: str, rows: Sequence[Outcome]) -> Table:
    table = _table(f"Preferences with cycles: {game}")
    for title in ("method", "loss", "equilibrium"):
        table.add_column(title)
    for title in ("steps", "KL last", "KL average", "gap last", "gap average"):
        table.add_column(title, justify="right")
    table.add_column("reached by")
    for row in rows:
        figures = (row.kl_last, row.kl_average, row.gap_last, row.gap_average)
        table.add_row(
            row.method,
            row.loss,
            SOLVES[row.solves],
            f"{row.steps:,}",
            *(f"{max(figure, 0.0):.0e}" for figure in figures),
            REACHED[row.reached],
        )
    return table


def _rates(rows: Sequence[Rate]) -> Table:
    table = _table("Rates: a line through log KL of the last policy")
    table.add_column("method")
    for title in ("beta", "eta", "slope per step", "guaranteed", "R²", "steps", "KL at the end"):
        table.add_column(title, justify="right")
    for row in rows:
        guaranteed = f"{row.guaranteed:.4f}" if row.method == "EGPO" else ""
        ends = (f"{len(row.kl_T) - 1:,}", f"{row.kl_T[-1]:.0e}")
        table.add_row(
            row.method, f"{row.beta:g}", f"{row.eta:g}", f"{row.slope:+.4f}", guaranteed, f"{row.r2:.6f}", *ends
        )
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
