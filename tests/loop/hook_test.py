"""The user's own command on an exported checkpoint."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loop.hook import numbers_in, run_hook
from loop.prompts.pool import PoolCounts, PromptPool
from loop.task import Task
from tests.loop.stub_fleets import composed

PYTHON = sys.executable


def task(folder: Path, hook: str, *overrides: str) -> Task:
    config = composed(*overrides)
    config = replace(config, evaluate=replace(config.evaluate, hook=hook))
    return Task(config, "i" * 32, folder, PromptPool({}, {}, [], [], PoolCounts(0, 0, 0, 0, 0, 0, 0)), "")


def test_the_command_gets_the_folder_and_its_last_line_is_kept(tmp_path: Path) -> None:
    told = """import sys, json; print("hello"); print(json.dumps({"n": len(sys.argv[1]), "ok": True, "x": 1e999}))"""
    hooked = run_hook(task(tmp_path, f"{PYTHON} -c '{told}' {{checkpoint}}"), Path("/some where"), 3)
    assert hooked.failure is None and hooked.numbers == {"n": 11.0}
    assert (tmp_path / "hook" / "round-003.log").read_text().startswith("hello\n")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (f"{PYTHON} -c 'raise SystemExit(3)'", "ended with status 3"),
        ("no-such-command", "cannot be run: No such file"),
    ],
)
def test_a_command_that_fails_is_told_and_ends_nothing(tmp_path: Path, hook: str, said: str) -> None:
    hooked = run_hook(task(tmp_path, hook), tmp_path, 1)
    assert hooked.numbers == {} and hooked.failure is not None and said in hooked.failure


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    slow = task(tmp_path, f"{PYTHON} -c 'import time; time.sleep(60)'", "evaluate.hook_timeout_s=0.2")
    assert "more than 0.2 s" in str(run_hook(slow, tmp_path, 1).failure)


@pytest.mark.parametrize("printed", ["", "\n", "no json", "[1, 2]", '{"a": 1}\nthe end'])
def test_what_is_no_object_in_the_last_line_gives_no_numbers(printed: str) -> None:
    assert numbers_in(printed) == {}
