"""Why a run ends early. Each class is one exit status of the command line; each message is one clear sentence."""

from __future__ import annotations


class RatchetError(Exception):
    """Base of the errors whose message is meant for a person, printed without a traceback."""

    exit_code = 1


class Refused(RatchetError):
    """Bad input or configuration: nothing was started, nothing half-written."""

    exit_code = 2


class Stopped(RatchetError):
    """The run stopped on purpose: a judge that fails too often, a gate, or a learner that cannot make a step."""

    exit_code = 3


class InfrastructureFailed(RatchetError):
    """An actor, a transport or a machine failed and retries were exhausted."""

    exit_code = 4
