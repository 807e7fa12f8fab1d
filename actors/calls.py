"""Waiting for Ray, with a bound, and turning its failures into the project's own errors."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from loop import errors
from loop.errors import InfrastructureFailed, ProcessDied, RatchetError, TimedOut

_CREATION = "creation task"
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
    project's own errors as they were raised, also while an actor was made; anything else is a fault in the program and
    keeps Ray's task error with the remote traceback.
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
        if (raised := raised_while_made(error)) is not None:
            return raised
        return ProcessDied(f"{what}: a process died ({reason_of(error)})")
    return InfrastructureFailed(f"{what}: {reason_of(error)}")


def is_death(error: RayError) -> bool:
    """Whether the called actor died or could not be reached, which is not the same as its call failing because of
    another one's death."""
    return isinstance(error, RayActorError) and not isinstance(error, RayTaskError)


def raised_while_made(error: RayError) -> RatchetError | None:
    """The project's own error that kept an actor from being made; None for anything else. Ray hands over its text
    only: of a class outside `loop.errors` it becomes the nearest one there."""
    name, _, sentence = _last_words(_lines(error)).partition(": ")
    for kind in _descendants(RatchetError) if getattr(error, "actor_init_failed", False) else ():
        if name == f"{kind.__module__}.{kind.__qualname__}":
            known: type[RatchetError] = next(base for base in kind.__mro__ if base.__module__ == errors.__name__)
            return known(sentence)
    return None


def reason_of(error: BaseException) -> str:
    """What went wrong in one line, as part of a sentence: without a full stop. When an actor could not even be made,
    Ray's message is the remote traceback, and its last words the cause; otherwise the first line says it."""
    if isinstance(error, RayError) and (raised := raised_while_made(error)) is not None:
        return clause(raised)
    lines = _lines(error)
    if not lines:
        return type(error).__name__
    return (_last_words(lines) if _CREATION in lines[0] else _UNAVAILABLE.sub(r"\1", lines[0].strip())).rstrip(".")


def clause(error: BaseException) -> str:
    """An error's sentence as part of another one."""
    return str(error).rstrip(".")


def _lines(error: BaseException) -> list[str]:
    return [line for line in _ANSI.sub("", str(error)).splitlines() if line.strip()]


def _last_words(lines: Sequence[str]) -> str:
    """What stands behind a traceback's last frame, whose lines are indented."""
    said: list[str] = []
    for line in reversed(lines):
        if line[0].isspace():
            break
        said.insert(0, line.strip())
    return " ".join(said)


def _descendants(kind: type[RatchetError]) -> Iterator[type[RatchetError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _descendants(one)
