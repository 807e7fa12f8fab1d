"""Processes of a run that stand still at named points until they are told to go on; see `loop.crash`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loop.crash import Entry, release_of

TIMES = 1000
"""Passes of one point that are held, at most."""


@dataclass(frozen=True, slots=True)
class Held:
    """A process (its id) that waits at a point since `at` (seconds since 1970), until it is released."""

    pid: int
    point: str
    at: float
    mark: str

    def release(self) -> None:
        """Let it go on."""
        Path(release_of(self.mark)).touch()


class Holds:
    """Holds every process that reaches one of some points, in the order in which they come to each."""

    def __init__(self, plan: Path, points: Sequence[str]) -> None:
        """Write the plan that processes with `RATCHET_CRASH=plan` follow."""
        entries = [Entry(point.replace("/", "-"), point, kind="hold", times=TIMES) for point in points]
        plan.write_text("".join(json.dumps(dataclasses.asdict(entry)) + "\n" for entry in entries))
        self._marks = {entry.id: entry.marks(str(plan)) for entry in entries}

    def next(self) -> Held | None:
        """A process that waits and was not told of before; None when there is none."""
        for id, marks in self._marks.items():
            if marks and (held := _read(marks[0])) is not None:
                self._marks[id] = marks[1:]
                return held
        return None


def _read(mark: str) -> Held | None:
    try:
        told = json.loads(Path(mark).read_text())
    except (FileNotFoundError, ValueError):  # ValueError: it is being written
        return None
    return Held(told["pid"], told["point"], told["at"], mark)
