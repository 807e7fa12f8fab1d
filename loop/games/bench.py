"""`ratchet bench games`: play, print, draw."""

from __future__ import annotations

import json
import shutil

import torch
from rich.console import Console

from loop.drawing import checked
from loop.games.rates import rates
from loop.games.report import Report, as_figures, as_tables
from loop.games.study import contests, cyclic_games, played
from loop.games.tilts import tilts, transitive_game

WIDTH = 120


def bench_games(as_json: bool, plot: str | None) -> int:
    """Print what the methods reach, and draw the figure if a file is named; the exit status.

    Raises: Refused for a file that cannot be drawn to, before anything is played.
    """
    if plot:
        from loop.games.plot import draw

        file = checked(plot)
    torch.set_num_threads(1)
    games = cyclic_games()
    report = Report(
        tilts=tilts(transitive_game()),
        outcomes=[played(game, contest) for game in games for contest in contests(game)],
        rates=rates(),
    )
    if as_json:
        print(json.dumps(as_figures(report), indent=2))
    else:
        Console(width=max(WIDTH, shutil.get_terminal_size().columns)).print(as_tables(report))
    if plot:
        draw(games[0], report.outcomes, report.rates, file)
    return 0
