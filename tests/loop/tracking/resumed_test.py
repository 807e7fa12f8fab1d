"""A run that was killed and went on is one history: every metric once, on its axis, over both processes' files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loop.summary import read_summary
from loop.tracking.earlier import Earlier, read_earlier
from loop.tracking.metrics import ROUND, SECONDS, STEP, round_metrics
from tests.loop.tracking import wandb_file
from tests.loop.tracking.kit import alone, tracked_run

PROGRAM = "from tests.loop.tracking.kit import killed_run; killed_run()"


def killed(folder: Path, dies_at: int, home: Path) -> None:
    """A process that tracks a run into the folder and is killed."""
    environment = {**os.environ, **alone(home)}
    known = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(folder), str(dies_at)], env=known, check=False)
    assert done.returncode == -signal.SIGKILL


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of all processes, in the order in which they ran."""
    files = sorted(folder.glob("wandb/*/*.wandb"), key=lambda path: path.stat().st_mtime)
    return [row for file in files for row in wandb_file.history(file)]


@pytest.fixture
def runs(wandb_alone: object, tmp_path: Path) -> tuple[Path, Path]:
    """An undisturbed run, and one whose process was killed in round 3, after what it had learnt was pushed."""
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    killed(folder, tracked_run(whole).index("push:r3-s9"), tmp_path / "home")
    return whole, folder


def test_a_killed_run_goes_on_as_one_history(runs: tuple[Path, Path], tmp_path: Path) -> None:
    whole, folder = runs
    cut = shutil.copytree(folder, tmp_path / "cut")
    before = rows_of(folder)
    assert max(row[ROUND] for row in before if STEP in row) == 3, "it died after round 3 was learnt"
    assert max(row[ROUND] for row in before if "quality/gold_score" in row) == 2, "and before it was closed"
    tracked_run(folder)
    after, summary = rows_of(folder), read_summary(folder)
    assert summary.finished and after[: len(before)] == before

    given = [(name, row.get(ROUND), row.get(STEP)) for row in after if SECONDS not in row for name in row]
    own = [one for one in given if one[0][0] != "_" and one[0] not in (ROUND, STEP)]
    assert len(own) == len({*own}), "nothing twice"
    told = {(name, row.get(ROUND), row.get(STEP)) for row in rows_of(whole) if SECONDS not in row for name in row}
    assert {*given} == told, "nothing is missing, and nothing is there that an undisturbed run has not"
    for one in (summary.initial, *summary.rounds):
        (row,) = [row for row in after if row.get(ROUND) == one.round and "quality/gold_score" in row]
        assert {name: row[name] for name in round_metrics(one)} == round_metrics(one)
    steps = [(row[STEP], row["optimiser/loss"]) for row in after if STEP in row]
    assert steps == [(step, 0.5) for step in range(1, 10)]

    seconds = [row[SECONDS] for row in after if SECONDS in row]
    assert seconds == sorted(set(seconds)) and len(seconds) > 10
    numbers = [row["_step"] for row in after]
    assert numbers == sorted(set(numbers)), "synced one after the other they are one history"
    files = sorted(folder.glob("wandb/*/*.wandb"))
    assert len(files) == 2 and len({wandb_file.run_record(file).run_id for file in files}) == 1
    for kind, number in (("model", 3), ("ledger", 4)):
        found = [one for file in files for one in wandb_file.artifacts(file, kind)]
        assert sorted(alias for one in found for alias in one.aliases if alias != "latest") == [
            f"round-{at}" for at in range(4 - number, 4)
        ]
    cut_short(cut)


def cut_short(folder: Path) -> None:
    """What the killed process had not written is written by the next one."""
    (file,) = folder.glob("wandb/*/*.wandb")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 3])
    assert 2 not in [row[ROUND] for row in wandb_file.history(file) if "quality/gold_score" in row]
    tracked_run(folder)
    assert sorted(row[ROUND] for row in rows_of(folder) if "quality/gold_score" in row) == [0, 1, 2, 3]


def test_what_is_known_of_earlier_is_kept_by_place() -> None:
    earlier = Earlier()
    earlier.add_row({ROUND: 1, "a": 1.0, "_step": 4})
    earlier.add_row({ROUND: 1, STEP: 1, "a": 1.0, "_step": 9})
    earlier.add_row({SECONDS: 12.5, "rates/x": 1.0, "_step": 11})
    assert (earlier.next_step, earlier.seconds) == (12, 12.5)
    assert earlier.new({ROUND: 1, "a": 2.0, "b": 3.0}) == {ROUND: 1, "b": 3.0}
    assert earlier.new({ROUND: 1, STEP: 1, "a": 2.0}) == {}
    assert earlier.new({ROUND: 1, STEP: 2, "a": 2.0}) == {ROUND: 1, STEP: 2, "a": 2.0}
    assert earlier.new({ROUND: 2, STEP: 1, "a": 2.0}) != {}, "a look-ahead and the round after it share their steps"


def test_nothing_is_known_where_nothing_is(tmp_path: Path) -> None:
    assert read_earlier(tmp_path, "abc") == Earlier()
    (tmp_path / "wandb" / "offline-run-1-abc").mkdir(parents=True)
    (tmp_path / "wandb" / "offline-run-1-abc" / "run-abc.wandb").write_bytes(b":W&B\x00\x00\x00")
    assert read_earlier(tmp_path, "abc") == Earlier()


@pytest.mark.parametrize("torn", [1, 8, 500])
def test_a_torn_end_is_read_up_to_it(wandb_alone: object, tmp_path: Path, torn: int) -> None:
    tracked_run(tmp_path / "run")
    (file,) = (tmp_path / "run").glob("wandb/*/*.wandb")
    its_id = wandb_file.run_record(file).run_id
    whole = read_earlier(tmp_path / "run", its_id)
    file.write_bytes(file.read_bytes()[:-torn])
    assert read_earlier(tmp_path / "run", its_id).points == whole.points, "the end is only about the run's exit"
