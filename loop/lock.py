"""Who holds a file locked, found out without touching the lock: a look must not make a starting driver fail."""

from __future__ import annotations

import os
from pathlib import Path

LOCKS = Path("/proc/locks")


def lock_holder(path: Path) -> int | None:
    """The process that holds a file with flock; None when nobody does, or where the system does not tell."""
    try:
        file, table = path.stat(), LOCKS.read_text()
    except OSError:
        return None
    wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    return next((pid for place, pid in _held(table) if place == wanted), None)


def _held(table: str) -> list[tuple[str, int]]:
    """Device and inode with the process, from lines like `1: FLOCK  ADVISORY  WRITE 4688 fe:00:2146317 0 EOF`; waiting
    ones (`1: -> FLOCK ...`) do not hold anything."""
    lines = [line.split() for line in table.splitlines()]
    return [(line[5], int(line[4])) for line in lines if len(line) == 8 and line[1] == "FLOCK"]
