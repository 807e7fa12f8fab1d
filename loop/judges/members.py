"""What judges that are made of judges share: how their members' replies are read and told, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from loop.judges.judge import Judge, Reply
from loop.records import digest_of
from loop.verdicts import VETO


def failed(reply: Reply) -> bool:
    """Whether a reply is failed, or holds what is no number: not-a-number and plus infinity are none. Minus infinity is
    one, a veto."""
    return reply.status == "failed" or (reply.value is not None and not reply.value < math.inf)


def told(reply: Reply) -> dict[str, object]:
    """A member's reply for a combined reply's raw JSON, which knows no infinity: the value of a veto is `vetoed`."""
    value = None if failed(reply) else reply.value
    return {"status": "failed" if failed(reply) else reply.status, "value": "vetoed" if value == VETO else value}


def cut_of(replies: Iterable[Reply]) -> int:
    """Tokens that the members' inputs lost together."""
    return sum(reply.cut for reply in replies)


def label_of(name: str, settings: Iterable[object], members: Mapping[str, Judge], policy: str) -> str:
    """A version: a name, and eight digits that change with a setting, with a member's name and with its version."""
    versions = {member: judge.version(policy) for member, judge in members.items()}
    return f"{name}-{digest_of('judge', list(settings), versions)[:8]}"


def usage_of(members: Mapping[str, Judge]) -> dict[str, float]:
    """The members' counters as `MEMBER.COUNTER`."""
    return {f"{name}.{counter}": n for name, judge in members.items() for counter, n in judge.usage().items()}
