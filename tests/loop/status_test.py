from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loop.status import FILE_NAME, Status, read_status, write_status


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def running(pid: int, since: float) -> Status:
    return Status(pid, 2, 1, ["generate", "judge"], since, "running")


def test_a_status_comes_back_as_it_was_and_leaves_nothing_else(tmp_path: Path) -> None:
    said = Status.now(2, 1, ["generate", "judge"])
    assert (said.pid, said.state) == (os.getpid(), "running")
    write_status(tmp_path, said)
    write_status(tmp_path, said)
    assert read_status(tmp_path) == said
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]


def test_a_folder_without_a_status_has_none(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / FILE_NAME).write_text("")  # what a power cut can leave of a file that was not flushed
    assert read_status(tmp_path) is None


def test_a_driver_that_was_killed_reads_as_died(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    write_status(tmp_path, running(other.pid, time.time()))
    assert read_status(tmp_path).state == "running"  # type: ignore[union-attr]
    other.kill()
    for _ in range(500):  # a zombie first: nobody has waited for it
        if (read := read_status(tmp_path)) is not None and read.state == "died":
            break
        time.sleep(0.01)
    assert read is not None and read.state == "died" and read.phases == ["generate", "judge"]
    other.wait()
    assert read_status(tmp_path).state == "died"  # type: ignore[union-attr]


def test_a_process_that_took_over_the_number_is_not_the_driver(tmp_path: Path) -> None:
    write_status(tmp_path, running(os.getpid(), 1000.0))
    assert read_status(tmp_path).state == "died"  # type: ignore[union-attr]


def test_what_ended_stays_ended_and_another_host_is_believed(tmp_path: Path) -> None:
    ended = dataclasses.replace(running(2**22 + 1, 0.0), state="stopped")
    write_status(tmp_path, ended)
    assert read_status(tmp_path) == ended
    elsewhere = dataclasses.replace(running(2**22 + 1, 0.0), host="another")
    write_status(tmp_path, elsewhere)
    assert read_status(tmp_path) == elsewhere
