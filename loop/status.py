"""What a run's driver is doing now, as a small file in the run's folder that others read: `status.json`."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from loop.store import told_plainly

FILE_NAME = "status.json"

State = Literal["running", "finished", "stopped", "interrupted", "failed", "died"]

CLOCK_SLACK_S = 2.0
"""How much later than `since` the writer of a status may seem to have begun: boot times are whole seconds."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a driver said last. `phases` are under way, in the order in which they began; `since` (seconds since 1970)
    is when that became so. Only a reader says `died`: the driver did not live to say how it ended."""

    pid: int
    driver_epoch: int
    round: int
    phases: list[str]
    since: float
    state: State
    host: str = field(default_factory=socket.gethostname)

    @classmethod
    def now(cls, driver_epoch: int, round: int, phases: Sequence[str], state: State = "running") -> Status:
        """The status of this process as of now."""
        return cls(os.getpid(), driver_epoch, round, list(phases), time.time(), state)


def write_status(folder: str | Path, status: Status) -> None:
    """Replace the folder's status: a reader sees the old or the new one. Not flushed to disk, so it costs little.
    Raises: StoreFailed."""
    path = Path(folder) / FILE_NAME
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with told_plainly(str(path)):
        temporary.write_text(json.dumps(dataclasses.asdict(status)) + "\n")
        os.replace(temporary, path)


def read_status(folder: str | Path) -> Status | None:
    """The folder's status, None where there is none. One that says `running` reads `died` when its process is gone; of
    a process on another host nothing is known, so it keeps running."""
    try:
        text = (Path(folder) / FILE_NAME).read_text()
    except FileNotFoundError:
        return None
    try:
        status = Status(**json.loads(text))
    except ValueError:  # the machine went down before the file reached the disk
        return None
    if status.state == "running" and status.host == socket.gethostname() and not _lives(status):
        return dataclasses.replace(status, state="died")
    return status


def _lives(status: Status) -> bool:
    """Whether the process that wrote a status still is: one that began after it only has the same number."""
    try:
        process = psutil.Process(status.pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= status.since + CLOCK_SLACK_S
    except psutil.NoSuchProcess:
        return False
