"""The parts of a disturbed run that need no run: held processes, what counts as going on, ends that nobody caused."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from actors.bench import chaos_run
from actors.bench.chaos_hold import Held, Holds
from actors.bench.chaos_plan import NAMED, POINTS
from actors.bench.chaos_run import Disturber, Kill, gets_over, owner
from loop.crash import PLAN, reached
from loop.errors import InfrastructureFailed


def wait_for(holds: Holds) -> Held:
    while (held := holds.next()) is None:
        pass
    return held


def test_each_arrival_at_a_point_is_told_once_and_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holds, passed = Holds(tmp_path / "plan", ["push/begun", "learn/step"]), []
    monkeypatch.setenv(PLAN, str(tmp_path / "plan"))

    def arrive() -> None:
        for number, point in enumerate(("push/begun", "learn/step", "push/begun", "elsewhere")):
            reached(point)
            passed.append(number)

    walker = threading.Thread(target=arrive)
    walker.start()
    for number, point in enumerate(("push/begun", "learn/step", "push/begun")):
        held = wait_for(holds)
        assert (held.point, len(passed)) == (point, number)
        assert holds.next() is None
        held.release()
    walker.join()
    assert len(passed) == 4 and holds.next() is None


def test_every_point_that_is_planned_for_is_held() -> None:
    planned = {point for points in POINTS.values() for point in points} | {point for _, _, point in NAMED}
    begins = {f"phase/{phase}" for phase in POINTS if phase != "start"}
    assert planned | begins <= set(chaos_run.POINTS)


def test_points_belong_to_the_kind_of_process_that_reaches_them() -> None:
    kinds = {"push/engine": "rollout", "push/loading": "driver", "checkpoint/parts": "learner", "learn/step": "learner"}
    assert {point: owner(point) for point in kinds} == kinds


def kill(actor: str) -> Kill:
    return Kill(actor, 5, 100.0, 1, "learn", "random", ["learn"], "running: learn", alive=frozenset({1, 5, 6}))


@pytest.mark.parametrize(
    ("actor", "point", "pid", "at", "over"),
    [
        ("learner", "learn/step", 6, 101.0, False),
        ("learner", "learn/step", 7, 101.0, True),
        ("learner", "phase/push", 1, 101.0, True),
        ("rollout", "push/engine", 6, 101.0, False),
        ("rollout", "shard/generate", 1, 99.0, False),
        ("driver", "push/begun", 9, 101.0, False),
        ("driver", "phase/generate", 9, 101.0, True),
    ],
)
def test_a_run_goes_on_when_its_driver_or_a_new_process_makes_a_step(
    actor: str, point: str, pid: int, at: float, over: bool
) -> None:
    assert gets_over(kill(actor), Held(pid, point, at, "")) is over


class Failing:
    """A command that ends with status 4 as soon as it is started."""

    started = 0

    def __init__(self, *arguments: Any) -> None:
        Failing.started += 1
        self.pid, self.began = Failing.started, 0.0

    def status(self) -> int:
        return 4

    def clear(self, patience_s: float) -> tuple[float, list[str]]:
        return 0.0, []

    def end(self) -> None:
        pass


def test_a_command_that_ends_by_itself_is_given_again_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos_run, "RunProcess", Failing)
    (tmp_path / "disturbed.log").write_text("begun\nratchet: no engine is left\n\n")
    told: list[str] = []
    one = Disturber([], tmp_path / "run", 1, [], {}, 0, tmp_path, 60.0, told.append)
    with pytest.raises(InfrastructureFailed, match="failed 5 times"):
        one.run()
    assert Failing.started == 5
    assert told == ["the command ended with status 4 in its start: ratchet: no engine is left"] * 5
    assert [start.status for start in one.record.starts] == [4] * 5 and not one.record.finished
