"""Memory of a process tree: shared pages once, descendants included, the peak kept after it has passed."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from loop.memory import GIB, MemoryWatch, parse_rollup, process_tree, proportional_set_size

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc/PID/smaps_rollup")

MIB = 2**20


@contextmanager
def child_holding(mib: int) -> Iterator[subprocess.Popen[bytes]]:
    """A child process that has touched so many MiB, in a grandchild of this process."""
    program = (
        f"held = bytearray({mib * MIB}); held[::4096] = b'x' * len(held[::4096]); print('ready', flush=True); input()"
    )
    shell = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {program!r}]).returncode)"
    process = subprocess.Popen([sys.executable, "-c", shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.communicate(b"\n")


def test_the_pss_line_is_read() -> None:
    assert parse_rollup("5581-7ffc [rollup]\nRss:  3020 kB\nPss:  1010 kB\nPss_Dirty:  8 kB\n") == 1010 * 1024


def test_a_rollup_without_pss_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a Pss line"):
        parse_rollup("Rss: 3020 kB\n")


def test_a_process_that_ended_counts_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert proportional_set_size([process.pid]) == 0  # a zombie
    process.wait()
    assert proportional_set_size([process.pid]) == 0
    assert process_tree(process.pid) == []


def test_shared_pages_count_once() -> None:
    """A forked child that maps the same 64 MiB adds next to nothing, although its resident set grows by 64 MiB."""
    with mmap.mmap(-1, 64 * MIB) as shared:
        shared.write(b"x" * 64 * MIB)
        alone = proportional_set_size([os.getpid()])
        reader, writer = os.pipe()
        go_on, stop = os.pipe()
        pid = os.fork()
        if pid == 0:
            total = sum(shared[i] for i in range(0, 64 * MIB, 4096))
            os.write(writer, b"." if total else b"!")
            os.read(go_on, 1)
            os._exit(0)
        assert os.read(reader, 1) == b"."
        together = proportional_set_size([os.getpid(), pid])
        os.write(stop, b".")
        os.waitpid(pid, 0)
    assert together - alone < 32 * MIB


def test_the_watch_keeps_the_peak_of_a_grandchild(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loop.memory.MAX_SHARE", 1.0)
    with MemoryWatch(os.getpid(), interval_s=0.02) as watch:
        before = peak_above(watch, 0.0)
        with child_holding(256):
            peak_above(watch, before + 0.9 * 256 * MIB / GIB)


def peak_above(watch: MemoryWatch, gib: float) -> float:
    """The peak once it is above a bound, which it has to be soon."""
    deadline = time.monotonic() + 30
    while (peak := watch.peak_gib) is None or peak <= gib:
        assert time.monotonic() < deadline, f"the peak stays at {peak}, not above {gib}"
        time.sleep(0.01)
    return peak


def test_an_unreadable_process_makes_the_peak_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pids: list[int]) -> int:
        raise PermissionError(pids)

    monkeypatch.setattr("loop.memory.MAX_SHARE", 1.0)
    with MemoryWatch(os.getpid(), interval_s=0.01) as watch:
        time.sleep(0.2)
        assert watch.peak_gib is not None
        monkeypatch.setattr("loop.memory.proportional_set_size", refuse)
        time.sleep(0.2)
    assert watch.peak_gib is None


def test_dear_samples_come_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    samples: list[float] = []

    def dear(pids: list[int]) -> int:
        samples.append(time.monotonic())
        began = time.thread_time()
        while time.thread_time() - began < 0.02:
            pass
        return 1

    monkeypatch.setattr("loop.memory.proportional_set_size", dear)
    monkeypatch.setattr("loop.memory.MAX_SHARE", 0.1)
    with MemoryWatch(os.getpid(), interval_s=0.0):
        time.sleep(0.7)
    assert len(samples) >= 2
    assert all(after - before >= 0.2 for before, after in pairwise(samples))
