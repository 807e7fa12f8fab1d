"""What a fleet tells of its actors and shards, for telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loop.pulse import FleetSnapshot

EventKind = Literal["died", "restarted", "straggler", "shard"]


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """What befell an actor (`died`, `restarted`: seconds until it answered again), or a shard: one that was made
    (`shard`: seconds from dispatch to answer), or is late (`straggler`). `actor` is the fleet's name and the actor's
    number; `attempt` counts from 1; `detail` continues "because"."""

    kind: EventKind
    actor: str
    pid: int | None
    host: str | None
    shard: int | None = None
    attempt: int | None = None
    seconds: float | None = None
    detail: str | None = None


def ignore(event: FleetEvent) -> None:
    """What befalls actors is of no interest."""


def unseen(snapshot: FleetSnapshot) -> None:
    """How a fleet is is of no interest."""
