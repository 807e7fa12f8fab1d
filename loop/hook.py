"""A command of the user's own on an exported checkpoint: another benchmark, say."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from loop.task import Task

PLACE = "{checkpoint}"
"""What stands for the checkpoint's folder in the command."""


@dataclass(frozen=True, slots=True)
class Hooked:
    """What a command came to: the numbers that it told, and a sentence where it failed."""

    numbers: dict[str, float] = field(default_factory=dict)
    failure: str | None = None


def run_hook(task: Task, checkpoint: Path, round: int) -> Hooked:
    """Run `evaluate.hook`, without a shell, in the run's folder; what it prints goes to `hook/round-NNN.log`. A command
    that fails or takes too long costs its numbers, not the run."""
    config = task.config.evaluate
    words = [word.replace(PLACE, str(checkpoint)) for word in shlex.split(config.hook or "")]
    log = task.folder / "hook" / f"round-{round:03d}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w+b") as file:
        try:
            done = subprocess.run(
                words,
                cwd=task.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=config.hook_timeout_s,
            )
        except OSError as error:
            return Hooked(failure=f"evaluate.hook cannot be run: {error.strerror or error}")
        except subprocess.TimeoutExpired:
            return Hooked(failure=f"evaluate.hook took more than {config.hook_timeout_s:g} s and was ended: see {log}")
    if done.returncode:
        return Hooked(failure=f"evaluate.hook ended with status {done.returncode}: see {log}")
    return Hooked(numbers_in(log.read_text(encoding="utf-8", errors="replace")))


def numbers_in(printed: str) -> dict[str, float]:
    """The finite numbers of the JSON object in the last line that is not blank; none where it is something else."""
    lines = [line for line in printed.splitlines() if line.strip()]
    try:
        told = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    numbers = {name: one for name, one in told.items() if isinstance(one, int | float) and not isinstance(one, bool)}
    return {name: float(one) for name, one in numbers.items() if math.isfinite(one)}
