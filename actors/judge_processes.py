"""A judge in fresh processes of its own, one for each replica, that end with it: two judges with engines never share
one, and what their libraries print goes to standard error."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process

from loop.config import RunConfig
from loop.errors import InfrastructureFailed
from loop.judge_study.asking import Answered
from loop.judges.judge import Asked, Judge, Reply
from loop.records import PolicyVersion

BATCH = 512
"""Questions that a process is given at once, at most."""

INITIAL = str(PolicyVersion(0, 0))
"""The policy of a judge that uses it."""

Build = Callable[[RunConfig], Judge]


@dataclass(frozen=True, slots=True)
class Part:
    """Replies to one batch, and what the process that gave them has used since its start."""

    process: int
    version: str
    replies: list[Reply]
    seconds: float
    usage: dict[str, float]


def build(config: RunConfig) -> Judge:
    """The configuration's judge. Raises: Refused."""
    from actors.judges.building import build_judge  # models and their engines: only in the process that asks them

    return build_judge(config, config.judge)


def ask(config: RunConfig, asked: Sequence[Asked], advance: Callable[[int], None], build: Build = build) -> Answered:
    """The replies to all questions, in order. `advance` is told how many more were answered.

    Raises: RatchetError of the judge, InfrastructureFailed when a process dies.
    """
    replicas = max(1, min(config.judge.replicas, len(asked)))
    size = min(BATCH, -(-len(asked) // replicas))
    batches = [asked[start : start + size] for start in range(0, len(asked), size)]
    others = set(active_children())
    pool = ProcessPoolExecutor(replicas, get_context("spawn"), _settle, (build, config))
    try:
        at = {pool.submit(_answer, batch): number for number, batch in enumerate(batches)}
        parts: dict[int, Part] = {}
        for future in as_completed(at):
            parts[at[future]] = part = future.result()
            advance(len(part.replies))
    except BaseException as error:
        for process in set(active_children()) - others:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise InfrastructureFailed(f"a process of judge={config.judge.name} died: see above") from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return _together([parts[number] for number in range(len(batches))])


def _together(parts: Sequence[Part]) -> Answered:
    seconds: dict[int, float] = {}
    usage: dict[int, dict[str, float]] = {}
    for part in parts:
        seconds[part.process] = seconds.get(part.process, 0.0) + part.seconds
        before = usage.get(part.process, {})
        usage[part.process] = {name: max(value, before.get(name, 0.0)) for name, value in part.usage.items()}
    names = dict.fromkeys(name for counted in usage.values() for name in counted)
    return Answered(
        version=parts[0].version,
        replies=[reply for part in parts for reply in part.replies],
        seconds=max(seconds.values()),
        usage={name: sum(counted.get(name, 0.0) for counted in usage.values()) for name in names},
    )


class _Process:
    """What one process keeps between batches. The judge is built with the first one, so that what it refuses reaches
    whoever asks."""

    build: Build
    config: RunConfig
    judge: Judge | None = None


def _settle(build: Build, config: RunConfig) -> None:
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process: this one ends without a traceback
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Process.build, _Process.config = staticmethod(build), config


def _end_with_parent() -> None:
    """A parent that was killed ends no process of its pool, and these would wait for work, their models loaded."""
    parent = parent_process()
    assert parent is not None, "only a process of the pool settles"
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _answer(asked: Sequence[Asked]) -> Part:
    if _Process.judge is None:
        _Process.judge = _Process.build(_Process.config)
    judge, started = _Process.judge, time.monotonic()
    replies = judge.answer(asked, INITIAL)
    return Part(os.getpid(), judge.version(INITIAL), replies, time.monotonic() - started, judge.usage())
