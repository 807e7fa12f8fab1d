"""Waiting for Ray, with a bound, and turning its failures into the project's own errors."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from loop.errors import InfrastructureFailed, ProcessDied, RatchetError, TimedOut

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_UNAVAILABLE = re.compile(r"^The actor \w+ is unavailable: (.*?)\.* The task may or may not have .*$")


def wait(refs: Sequence[Any], timeout_s: float, what: str) -> list[Any]:
    """The results of remote calls, in order; `what` names the work in error messages.

    The first failure ends the wait: the other calls may be waiting for the one that failed.

    Raises: TimedOut after `timeout_s` seconds; otherwise see `result`.
    """
    deadline = time.monotonic() + timeout_s
    pending = list(refs)
    while pending:
        ready, pending = ray.wait(pending, timeout=max(deadline - time.monotonic(), 0.0))
        if not ready:
            count = f"{len(pending)} of {len(refs)} calls " if len(refs) > 1 else ""
            raise TimedOut(f"{what}: {count}not finished within {timeout_s:g} s")
        for ref in ready:
            result(ref, what)
    return [result(ref, what) for ref in refs]


def result(ref: Any, what: str) -> Any:
    """What a finished call came to.

    Raises: ProcessDied when an actor died or could not be reached; InfrastructureFailed when Ray lost something; the
    project's own errors as they were raised; anything else is a fault in the program and keeps Ray's task error with
    the remote traceback.
    """
    try:
        return ray.get(ref)
    except RayError as error:
        own = translated(error, what)
        if own is None:
            raise
        raise own from (None if own is getattr(error, "cause", None) else error)


def translated(error: RayError, what: str) -> RatchetError | None:
    """The project's own error for one of Ray's; None for a fault in the program."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        if isinstance(cause, RatchetError):
            return cause
        if not isinstance(cause, RayError):
            return None
        kind = ProcessDied if isinstance(cause, RayActorError) else InfrastructureFailed
        return kind(f"{what}: something that it needed was lost ({reason_of(cause)})")
    if isinstance(error, RayActorError):
        return ProcessDied(f"{what}: a process died ({reason_of(error)})")
    return InfrastructureFailed(f"{what}: {reason_of(error)}")


def is_death(error: RayError) -> bool:
    """Whether the called actor died or could not be reached, which is not the same as its call failing because of
    another one's death."""
    return isinstance(error, RayActorError) and not isinstance(error, RayTaskError)


def reason_of(error: BaseException) -> str:
    """What went wrong in one line. When an actor could not even be made, Ray's message is the remote traceback, and its
    last line the cause; otherwise the first line says it."""
    lines = [line.strip() for line in _ANSI.sub("", str(error)).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if "creation task" in lines[0] else _UNAVAILABLE.sub(r"\1", lines[0])
