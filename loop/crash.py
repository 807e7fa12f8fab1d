"""Named places where a test may kill this process, hold it up, or have it meet a full disk, exactly once.

`ratchet bench chaos` places its kills with it. The environment variable `RATCHET_CRASH` holds the path of a plan, one
JSON object per line: `{"id": "a", "point": "checkpoint/parts", "hit": 2, "kind": "kill"}`. Every process counts its own
hits of each point from 1. The first process to reach a point for the `hit`-th time, over all processes and restarts,
leaves a mark `PLAN.ID.done` (pid, point, time) and kills itself (`kill`), meets ENOSPC (`fail`), or waits for a file
`PLAN.ID.go` (`hold`), so that another process can be killed meanwhile. With `"times": n` it happens `n` times, at that
hit and at the next ones, and leaves `PLAN.ID.1.done` to `PLAN.ID.n.done`; `PLAN.ID.1.go` lets the first go on. Without
the variable a point costs one look into the environment.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

PLAN = "RATCHET_CRASH"
"""The environment variable that holds the path of the plan."""

KINDS = ("kill", "fail", "hold")

HOLD_S = 30.0
"""Longest time that a process is held: a run whose tester has gone goes on."""

LOOK_S = 0.005
"""Seconds between two looks for the file that lets a held process go."""

_MARK, _GO = ".done", ".go"

_hits: Counter[str] = Counter()
_counting = threading.Lock()


@dataclass(frozen=True)
class Entry:
    """One planned crash: at the `hit`-th time that a process reaches `point`, or one of the next `times - 1`."""

    id: str
    point: str
    hit: int = 1
    kind: str = "kill"
    times: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"crash plan, entry {self.id}: kind={self.kind} is none of {', '.join(KINDS)}")

    def marks(self, plan: str) -> list[str]:
        """The files that tell that this entry has happened, one per time."""
        if self.times == 1:
            return [f"{plan}.{self.id}{_MARK}"]
        return [f"{plan}.{self.id}.{n}{_MARK}" for n in range(1, self.times + 1)]

    def due(self, point: str, hit: int) -> bool:
        """Whether this hit of a point is one that the entry asks for."""
        return point == self.point and self.hit <= hit < self.hit + self.times


def reached(point: str) -> None:
    """Say that this process is at a named place. Does nothing unless a plan names the place.

    Raises: OSError (ENOSPC) where the plan says `fail`.
    """
    plan = os.environ.get(PLAN)
    if plan:
        _consult(plan, point)


def _consult(plan: str, point: str) -> None:
    with _counting:
        _hits[point] += 1
        hit = _hits[point]
    for entry in read_plan(plan):
        if entry.due(point, hit) and (mark := _first(entry.marks(plan), point)) is not None:
            if entry.kind == "fail":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), point)
            if entry.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            _wait(release_of(mark), HOLD_S)


def release_of(mark: str) -> str:
    """The file that lets the process go on that left a mark when it was held."""
    return mark.removesuffix(_MARK) + _GO


def read_plan(plan: str) -> list[Entry]:
    """The entries of a plan file. Raises: OSError, ValueError or TypeError for a plan that is none."""
    with open(plan) as lines:
        return [Entry(**json.loads(line)) for line in lines if line.strip()]


def _wait(release: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not os.path.exists(release) and time.monotonic() < deadline:
        time.sleep(LOOK_S)


def _first(marks: list[str], point: str) -> str | None:
    """The first mark that nobody had made, made by this process; None when others have made all."""
    told = json.dumps({"pid": os.getpid(), "point": point, "at": time.time()}).encode()
    for mark in marks:
        try:
            handle = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            continue
        try:
            os.write(handle, told)
            os.fsync(handle)
        finally:
            os.close(handle)
        return mark
    return None
