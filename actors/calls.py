"""Waiting for Ray, with a bound, and turning its failures into the project's own errors."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from loop.errors import InfrastructureFailed, RatchetError

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def wait(refs: Sequence[Any], timeout_s: float, what: str) -> list[Any]:
    """The results of remote calls, in order; `what` names the work in error messages.

    The first failure ends the wait: the other calls may be waiting for the one that failed.

    Raises: InfrastructureFailed after `timeout_s` seconds, when an actor died or Ray lost something; the project's own
    errors as they were raised; anything else is a fault in the program and keeps Ray's task error with the remote
    traceback.
    """
    deadline = time.monotonic() + timeout_s
    pending = list(refs)
    while pending:
        ready, pending = ray.wait(pending, timeout=max(deadline - time.monotonic(), 0.0))
        if not ready:
            count = f"{len(pending)} of {len(refs)} calls " if len(refs) > 1 else ""
            raise InfrastructureFailed(f"{what}: {count}not finished within {timeout_s:g} s")
        for ref in ready:
            _checked(ref, what)
    return [_checked(ref, what) for ref in refs]


def _checked(ref: Any, what: str) -> Any:
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, RatchetError):
            raise error.cause from None
        raise
    except RayActorError as error:
        raise InfrastructureFailed(f"{what}: a process died ({reason_of(error)})") from error
    except RayError as error:
        raise InfrastructureFailed(f"{what}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """What went wrong in one line. When an actor could not even be made, Ray's message is the remote traceback, and its
    last line the cause; otherwise the first line says it."""
    lines = [line.strip() for line in _ANSI.sub("", str(error)).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if "creation task" in lines[0] else lines[0]
