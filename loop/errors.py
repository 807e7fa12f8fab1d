"""Why a run ends early. Each class is one exit status of the command line; each message is one clear sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RatchetError(Exception):
    """Base of the errors whose message is meant for a person, printed without a traceback."""

    exit_code = 1


class Refused(RatchetError):
    """Bad input or configuration: nothing was started, nothing half-written."""

    exit_code = 2


class Stopped(RatchetError):
    """The run stopped on purpose: a judge that fails too often, a gate, or a learner that cannot make a step."""

    exit_code = 3


class Fenced(Stopped):
    """A newer driver has taken the run over; this one must write nothing more."""


class InfrastructureFailed(RatchetError):
    """An actor, a transport or a machine failed and retries were exhausted."""

    exit_code = 4


class ProcessDied(InfrastructureFailed):
    """An actor died, or could not be reached; the same work can be given to another or to its successor."""


class EnginesDied(ProcessDied):
    """No engine is left of those that something was asked of."""


class TimedOut(InfrastructureFailed):
    """An actor did not answer in time."""


class StoreFailed(InfrastructureFailed):
    """The store refused a read or write: no space left, read-only, unreachable. Retrying elsewhere would not help."""


class Damaged(InfrastructureFailed):
    """A committed file does not have the content that was committed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Part of a sentence: `; did you mean A or B`, or nothing when no known name is like it."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}" if near else ""
