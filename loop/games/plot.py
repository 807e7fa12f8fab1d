"""The figure of `ratchet bench games`: weighted rock-paper-scissors, where policies go and how far away they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from loop.games.equilibria import Array, duality_gap, kl, nash, regularised
from loop.games.matrices import Game
from loop.games.rates import Rate
from loop.games.study import Outcome

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
"""Of the triangle, one for each response."""

DRAWN = ("SPPO", "MPO", "INPO", "EGPO", "iterative DPO, scalar reward")
NEARING = ("INPO", "online IPO", "OMD", "EGPO", "Nash-MD", "Nash-MD-PG, mixture 1/8")
FLOOR = 1e-14
"""Nats: smaller divergences are rounding, and drawn here."""


def draw(game: Game, outcomes: Sequence[Outcome], rates: Sequence[Rate], file: Path) -> None:
    """Four panels about one game of three responses: paths, gaps, divergences, rates."""
    played = {row.method: row.trajectory for row in outcomes if row.game == game.name}
    with mpl.rc_context({"svg.hashsalt": "ratchet", "font.size": 9, "axes.titlesize": 10, "legend.fontsize": 8}):
        figure = Figure(figsize=(10.0, 8.5), layout="constrained")
        (paths, gaps), (divergences, lines) = figure.subplots(2, 2)
        _paths(paths, game, played)
        _gaps(gaps, game, played)
        _divergences(divergences, game, played)
        _rates(lines, rates)
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def running_average(trajectory: Array) -> Array:
    """The average of all policies up to each one, `[T, Y]`."""
    return np.cumsum(trajectory, axis=0) / np.arange(1, len(trajectory) + 1)[:, None]


def _paths(axes: Any, game: Game, played: dict[str, Array]) -> None:
    axes.set_title("Last policies, and SPPO's average")
    axes.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="0.6", linewidth=0.8)
    for at, corner in enumerate(CORNERS):
        axes.annotate(
            str(at),
            corner,
            ha="center",
            va="top" if at < 2 else "bottom",
            xytext=(0, -3 if at < 2 else 3),
            textcoords="offset points",
        )
    for method in DRAWN:
        axes.plot(
            *(played[method] @ CORNERS).T, linewidth=0.7 if method == "SPPO" else 1.4, label=method.split(", ")[-1]
        )
    axes.plot(*(running_average(played["SPPO"]) @ CORNERS).T, "k", linewidth=1.2, label="SPPO, average")
    axes.plot(*(nash(game) @ CORNERS), "k*", markersize=10, linestyle="none", label="Nash")
    axes.plot(*(regularised(game) @ CORNERS), "kP", markersize=7, linestyle="none", label=f"beta = {game.beta:g}")
    axes.set_aspect("equal")
    axes.axis("off")
    axes.legend(loc="upper left")


def _gaps(axes: Any, game: Game, played: dict[str, Array]) -> None:
    axes.set_title("Duality gap without regularisation")
    shown = {
        "SPPO, last": played["SPPO"],
        "SPPO, average": running_average(played["SPPO"]),
        "DNO, average": running_average(played["DNO"]),
        "MPO, last": played["MPO"],
        "scalar reward, last": played["iterative DPO, scalar reward"],
    }
    for label, trajectory in shown.items():
        gap_T = np.array([duality_gap(game, policy_Y) for policy_Y in trajectory])
        axes.semilogy(np.maximum(gap_T, FLOOR), linewidth=1.0, label=label, linestyle="--" if "DNO" in label else "-")
    axes.set_xlabel("rounds")
    axes.legend()


def _divergences(axes: Any, game: Game, played: dict[str, Array]) -> None:
    axes.set_title(f"KL from the regularised equilibrium, beta = {game.beta:g}")
    equilibrium_Y = regularised(game)
    for method in NEARING:
        kl_T = np.array([kl(equilibrium_Y, policy_Y) for policy_Y in played[method]])
        axes.loglog(np.arange(1, len(kl_T) + 1), np.maximum(kl_T, FLOOR), linewidth=1.2, label=method)
    axes.set_xlabel("rounds or gradient steps")
    axes.set_ylabel("nats")
    axes.legend()


def _rates(axes: Any, rates: Sequence[Rate]) -> None:
    axes.set_title("The same, ever weaker regularisation")
    betas = sorted({row.beta for row in rates}, reverse=True)
    for row in rates:
        look = {"color": f"C{betas.index(row.beta)}", "linestyle": "-" if row.method == "EGPO" else "--"}
        axes.semilogy(row.kl_T, linewidth=1.2, label=f"{row.method}, beta = {row.beta:g}", **look)
    axes.set_xlabel("gradient steps (a look-ahead and a step count as one)")
    axes.set_ylabel("nats")
    axes.legend()
