"""The processes of one `ratchet run`: started in a session of their own, by which alone they are found and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from loop.crash import PLAN
from loop.errors import InfrastructureFailed

TITLES = {"rollout": "ray::RolloutActor", "judge": "ray::JudgeActor", "learner": "ray::LearnerActor"}
"""How Ray titles the processes of each kind of actor."""

LOOK_S = 0.02
GRACE_S = 60.0
"""How long a run may take to end after SIGTERM."""


class RunProcess:
    """The command `ratchet run OVERRIDES` as a child process, with everything that it starts. Its output goes to the
    end of `log`; with `plan` its processes follow that crash plan."""

    def __init__(self, overrides: Sequence[str], log: Path, plan: Path | None = None) -> None:
        command = [str(Path(sys.executable).with_name("ratchet")), "run", *overrides]
        environment = {name: value for name, value in os.environ.items() if name != PLAN}
        if plan is not None:
            environment[PLAN] = str(plan)
        with open(log, "ab") as output:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        self.pid = self._child.pid
        self.began = time.time()

    def status(self) -> int | None:
        """The exit status of the command; None while it is running."""
        return self._child.poll()

    def wait(self, timeout_s: float) -> int:
        """The exit status, once the command has ended. Raises: InfrastructureFailed after `timeout_s`."""
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise InfrastructureFailed(f"the run has not ended within {timeout_s:.0f} s") from error

    def others(self) -> list[psutil.Process]:
        """All living processes of the session but the command itself."""
        return [process for pid in psutil.pids() if pid != self.pid and (process := self._living(pid)) is not None]

    def holds(self, pid: int) -> bool:
        """Whether a process is one of this run's, and alive."""
        return self._living(pid) is not None

    def actors(self, kind: str) -> list[int]:
        """The processes of one kind: `driver`, or one of `TITLES`."""
        if kind == "driver":
            return [self.pid]
        return sorted(process.pid for process in self.others() if _title(process).startswith(TITLES[kind]))

    def kill(self, pid: int) -> None:
        """SIGKILL for one of the run's processes."""
        assert self.holds(pid), f"process {pid} is none of this run"
        os.kill(pid, signal.SIGKILL)
        if pid == self.pid:
            self._child.wait()

    def clear(self, patience_s: float) -> tuple[float, list[str]]:
        """After the command died: wait until the processes that it left are gone, and end those that stay for longer
        than `patience_s`. Returns the seconds until the last went by itself, and the names of those that did not."""
        started, ended = time.monotonic(), dict[int, str]()
        gone_s, number = 0.0, len(self.others())
        while left := self.others():
            waited_s = time.monotonic() - started
            if len(left) < number and not ended:
                gone_s, number = waited_s, len(left)
            if waited_s > patience_s:
                ended |= {process.pid: _name(process) for process in left if process.pid not in ended}
                for process in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)
            time.sleep(LOOK_S)
        return gone_s if ended else time.monotonic() - started, sorted(ended.values())

    def end(self) -> None:
        """End the run, whatever state it is in."""
        if self.status() is None:
            self._child.terminate()
            try:
                self._child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self.clear(0.0)

    def _living(self, pid: int) -> psutil.Process | None:
        try:
            if os.getsid(pid) != self.pid:
                return None
            process = psutil.Process(pid)
            return process if process.status() != psutil.STATUS_ZOMBIE else None
        except (ProcessLookupError, psutil.NoSuchProcess):
            return None


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def _name(process: psutil.Process) -> str:
    """A process's title, or the program that it runs."""
    words = _title(process).split()
    shown = [Path(word).name for word in words if word.startswith("ray::") or word.endswith(".py")]
    return shown[0] if shown else "unnamed"
