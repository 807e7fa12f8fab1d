"""What `ratchet bench games` prints and draws."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from actors.main import main
from loop.drawing import checked
from loop.errors import Refused
from loop.games import bench
from loop.games.matrices import Game, rock_paper_scissors, uniform
from loop.games.plot import draw, running_average
from loop.games.rates import rates
from loop.games.report import Report, as_figures, as_tables
from loop.games.study import contests, played
from loop.games.tilts import tilts, transitive_game


@pytest.fixture(scope="module")
def game() -> Game:
    return Game("cycle", rock_paper_scissors(), uniform(3), 0.1)


@pytest.fixture(scope="module")
def report(game: Game) -> Report:
    short = [played(game, replace(contest, steps=10)) for contest in contests(game)]
    return Report(tilts=tilts(transitive_game())[:4], outcomes=short, rates=rates(betas=(0.1,), steps=40))


def test_figures_are_json_and_hold_every_row_without_trajectories(report: Report) -> None:
    figures = json.loads(json.dumps(as_figures(report)))
    assert [row["method"] for row in figures["cyclic"]] == [row.method for row in report.outcomes]
    assert {row["reached"] for row in figures["cyclic"]} <= {"last", "average", "neither"}
    assert "trajectory" not in figures["cyclic"][0] and "kl_T" not in figures["rates"][0]
    assert figures["rates"][0]["slope"] < figures["rates"][0]["guaranteed"]


def test_tables_name_every_method_once_per_game(report: Report) -> None:
    console = Console(file=io.StringIO(), width=bench.WIDTH)
    console.print(as_tables(report))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    for row in report.outcomes:
        assert sum(line.startswith(f"{row.method} ") and f" {row.loss} " in line for line in lines) >= 1
    assert max(map(len, lines)) <= bench.WIDTH


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_figure_is_drawn(game: Game, report: Report, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"games{suffix}"
    draw(game, report.outcomes, report.rates, file)
    assert file.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


def test_the_same_figure_is_the_same_file(game: Game, report: Report, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw(game, report.outcomes, report.rates, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_running_average_ends_with_the_average() -> None:
    trajectory = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.1, 0.9]])
    np.testing.assert_allclose(running_average(trajectory), [[1, 0], [0.5, 0.5], [0.5, 0.5], trajectory.mean(0)])


def test_a_file_that_cannot_be_drawn_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"must end in \.svg or \.png"):
        checked(str(tmp_path / "games.pdf"))
    with pytest.raises(Refused, match="there is no folder"):
        checked(str(tmp_path / "nowhere" / "games.svg"))


def test_the_command_refuses_the_file_before_it_plays(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "games", "--plot", "games.txt"]) == 2
    assert capsys.readouterr().err == "ratchet: --plot games.txt: the file's name must end in .svg or .png\n"
