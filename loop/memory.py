"""How much memory a run takes, over all its processes, without counting shared pages twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import psutil

GIB = 2**30
MAX_SHARE = 0.02  # of one core; reading walks the page tables: some 20 ms for each GiB of many small processes


def parse_rollup(text: str) -> int:
    """Bytes of proportional set size in the text of a `smaps_rollup` file. ValueError if it names none."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("smaps_rollup without a Pss line")


def proportional_set_size(pids: Iterable[int]) -> int:
    """Bytes that the processes hold together, each shared page split among the processes that map it.

    A process that ended meanwhile counts nothing. PermissionError for another user's process; on a system without
    `/proc/PID/smaps_rollup` every process counts nothing.
    """
    total = 0
    for pid in pids:
        try:
            total += parse_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def process_tree(root_pid: int) -> list[int]:
    """The process and its descendants; empty once it has ended."""
    try:
        root = psutil.Process(root_pid)
        return [root_pid, *(child.pid for child in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


class MemoryWatch:
    """Samples the memory of a process tree from a thread and keeps the peak.

    It sees descendants of `root_pid` only: a cluster that the driver started, but not one that it merely joined. Peaks
    shorter than the interval can be missed; the interval grows where samples are dear. An unreadable process ends the
    watch, and the peak is then unknown.
    """

    def __init__(self, root_pid: int, interval_s: float = 2.0) -> None:
        self._root_pid = root_pid
        self._interval_s = interval_s
        self._peak = 0
        self._readable = Path("/proc/self/smaps_rollup").exists()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    @property
    def peak_gib(self) -> float | None:
        """The largest sum seen so far, in GiB; None where it cannot be measured."""
        return self._peak / GIB if self._readable and self._peak else None

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._readable:
            started = time.thread_time()
            try:
                self._peak = max(self._peak, proportional_set_size(process_tree(self._root_pid)))
            except PermissionError:
                self._readable = False
            spent = time.thread_time() - started
            if self._ended.wait(max(self._interval_s, spent / MAX_SHARE)):
                return
