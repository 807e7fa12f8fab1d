"""The parent's side of the verifier's process: starts it when it is needed, asks it, starts another when it died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any

from loop.errors import InfrastructureFailed
from loop.judges.verifier_checks import Finding, Options

SECONDS = 5.0
"""Processor time that one text may need."""
BYTES = 4 << 30
"""Address space of the process."""


class Checking:
    """One rule in a process of its own, which has no environment variables of its parent's. A copy by pickle starts its
    own process."""

    def __init__(self, rule: str, options: Options, seconds: float = SECONDS) -> None:
        self.rule, self.options, self.seconds = rule, options, seconds
        self.started = 0
        self._process: subprocess.Popen[str] | None = None
        self._end: weakref.finalize[..., Checking] | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Checking], tuple[str, Options, float]]:
        return Checking, (self.rule, self.options, self.seconds)

    def check(self, text: str, answer: str) -> Finding:
        """What the rule finds. A text at which the process dies is not checked. Raises `InfrastructureFailed` when
        there is no process to be had."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                process = self._start()
            reply = _asked(process, {"text": text, "answer": answer})
            if reply is None:
                status = process.wait()
                self._close()
                return Finding(None, self._why(status))
            if reply["ends"]:
                self._close()
            return Finding(reply["right"], reply["said"])

    def close(self) -> None:
        """End the process. The next text starts another."""
        with self._lock:
            self._close()

    def _start(self) -> subprocess.Popen[str]:
        self._close()
        said = f"the process of the verifier's rule {self.rule} did not start"
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "loop.judges.verifier_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                env=_environment(),
            )
        except OSError as error:
            raise InfrastructureFailed(f"{said}: {error.strerror}") from error
        self._process, self._end = process, weakref.finalize(self, _ended, process)
        self.started += 1
        first = {"rule": self.rule, "options": dict(self.options), "seconds": self.seconds, "bytes": BYTES}
        reply = _asked(process, first)
        if reply is None or not reply["ready"]:
            why = f"it ended with status {process.wait()}" if reply is None else reply["said"]
            self._close()
            raise InfrastructureFailed(f"{said}: {why}")
        return process

    def _close(self) -> None:
        if self._end is not None:
            self._end()
        self._process = self._end = None

    def _why(self, status: int) -> str:
        if status == -signal.SIGPROF:
            return f"needs more than {self.seconds:g} s of processor time"
        return f"its checking died with status {status}"


def _asked(process: subprocess.Popen[str], row: dict[str, Any]) -> dict[str, Any] | None:
    """The process's next line, None when it died."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(row) + "\n")  # ASCII: a model can write half a surrogate pair
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        return None
    reply: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
    return reply


def _ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if pipe is not None:
                pipe.close()


def _environment() -> dict[str, str]:
    """Where modules lie, and nothing secret. Hashes are fixed: sympy's order of terms depends on them."""
    return {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
    }
