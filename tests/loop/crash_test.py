from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loop import crash
from loop.crash import PLAN, reached, read_plan, release_of

HITS_FOUR_TIMES = "from loop.crash import reached\nfor n in range(4): reached('learn/step'); print(n, flush=True)"


def planned(folder: Path, *entries: dict[str, object]) -> Path:
    plan = folder / "plan.jsonl"
    plan.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return plan


def hitting(plan: Path) -> subprocess.CompletedProcess[str]:
    """A process that reaches `learn/step` four times and says which it survived."""
    return subprocess.run(
        [sys.executable, "-c", HITS_FOUR_TIMES],
        env={**os.environ, PLAN: str(plan)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_planned_hit_kills_once_over_restarts_and_leaves_its_mark(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"id": "a", "point": "learn/step", "hit": 3, "kind": "kill"})
    first, second = hitting(plan), hitting(plan)
    assert (first.returncode, first.stdout.split()) == (-signal.SIGKILL, ["0", "1"]), first.stderr
    assert (second.returncode, second.stdout.split()) == (0, ["0", "1", "2", "3"]), second.stderr
    mark = json.loads((tmp_path / "plan.jsonl.a.done").read_text())
    assert mark["point"] == "learn/step" and mark["pid"] > 0 and mark["at"] > 1e9


def test_a_kill_of_several_times_kills_that_many_processes(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"id": "a", "point": "learn/step", "hit": 2, "times": 2})
    assert [hitting(plan).returncode for _ in range(3)] == [-signal.SIGKILL, -signal.SIGKILL, 0]


def test_a_failure_is_a_full_disk_so_many_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, {"id": "b", "point": "full", "hit": 2, "kind": "fail", "times": 2})
    monkeypatch.setenv(PLAN, str(plan))
    raised = []
    for _ in range(5):
        try:
            reached("full")
            raised.append(None)
        except OSError as error:
            raised.append(error.errno)
    assert raised == [None, errno.ENOSPC, errno.ENOSPC, None, None]
    assert sorted(p.name for p in tmp_path.glob("*.done")) == ["plan.jsonl.b.1.done", "plan.jsonl.b.2.done"]


def test_a_held_process_waits_for_its_release_and_the_next_one_for_another(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"id": "h", "point": "learn/step", "hit": 2, "kind": "hold", "times": 2})
    held = subprocess.Popen(
        [sys.executable, "-c", HITS_FOUR_TIMES], env={**os.environ, PLAN: str(plan)}, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None and held.stdout.readline() == "0\n"
    for number, said in ((1, "1\n"), (2, "2\n")):
        mark = tmp_path / f"plan.jsonl.h.{number}.done"
        while not mark.exists() or not mark.read_text():
            assert held.poll() is None
        assert json.loads(mark.read_text())["pid"] == held.pid
        assert not select.select([held.stdout], [], [], 0.2)[0], "it has gone on before it was released"
        Path(release_of(str(mark))).touch()
        assert held.stdout.readline() == said
    assert held.stdout.read() == "3\n" and held.wait() == 0


def test_a_hold_that_nobody_ends_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, {"id": "h", "point": "alone", "kind": "hold"})
    monkeypatch.setenv(PLAN, str(plan))
    monkeypatch.setattr(crash, "HOLD_S", 0.05)
    reached("alone")
    assert (tmp_path / "plan.jsonl.h.done").exists()


def test_other_points_and_processes_without_a_plan_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, {"id": "c", "point": "here", "hit": 1, "kind": "fail"})
    monkeypatch.setenv(PLAN, str(plan))
    reached("elsewhere")
    monkeypatch.delenv(PLAN)
    reached("here")
    assert not list(tmp_path.glob("*.done"))


def test_a_misspelt_plan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind=kil"):
        read_plan(str(planned(tmp_path, {"id": "d", "point": "x", "kind": "kil"})))
    with pytest.raises(TypeError, match="pont"):
        read_plan(str(planned(tmp_path, {"id": "d", "pont": "x"})))
