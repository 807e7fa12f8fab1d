"""One actor of a fleet: how it is, what it holds and how long it has been silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum


class Health(StrEnum):
    """Only healthy actors are given work."""

    restarting = "restarting"  # starting, for the first time or again; nothing is known of it until it answers
    stale = "stale"  # answers, but does not hold the current version
    healthy = "healthy"  # answers, and holds the current version
    suspect = "suspect"  # late with an answer, or failed in a way that puts its version into doubt
    dead = "dead"  # died, or was silent for too long


class Action(StrEnum):
    """What is to be done with an actor."""

    nothing = "nothing"
    probe = "probe"  # ask whether it lives and what it holds
    restart = "restart"  # wait until it answers again
    push = "push"  # bring it the current version
    end = "end"  # for good


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLimits:
    """`in_flight`: items that one actor may hold; `max_restarts`: of one actor; an item may fail once more than
    that; after `straggler_s` an item may be given to a second actor; after `call_timeout_s` of silence, or
    `start_timeout_s` while it starts, an actor counts as dead."""

    in_flight: int = 2
    max_restarts: int
    straggler_s: float
    call_timeout_s: float
    start_timeout_s: float


@dataclass(frozen=True, slots=True)
class Actor:
    """One actor. `work` are the items that it holds in the order given: it works on the first. `since` is when the
    present silence began: the last answer, or the first thing asked after it. `asked`: a probe is not answered yet."""

    since: float
    health: Health = Health.restarting
    work: tuple[int, ...] = ()
    asked: bool = False
    version: str | None = None
    pid: int | None = None
    draining: bool = False
    deaths: int = 0
    why: str = ""
    beyond_restart: bool = False

    @property
    def waited_for(self) -> bool:
        """Whether something was asked of the actor that it has not answered."""
        return bool(self.work) or self.asked

    @property
    def serves(self) -> bool:
        """Whether the actor may be given work."""
        return self.health is Health.healthy and not self.draining

    @property
    def answers(self) -> bool:
        """Whether the actor was alive when it was last heard of."""
        return self.health in (Health.healthy, Health.stale, Health.suspect)

    def action(self, limits: FleetLimits) -> Action:
        """What is to be done with the actor now."""
        if self.draining and not self.work:
            return Action.end
        if self.health is Health.dead:
            lost = self.beyond_restart or self.deaths > limits.max_restarts
            return Action.end if lost else Action.restart
        if self.asked or self.health is Health.healthy:
            return Action.nothing
        if self.health is Health.stale:
            return Action.push if not self.work else Action.nothing
        return Action.probe

    def is_late(self, limits: FleetLimits, now: float) -> bool:
        """Whether the actor became late with an item."""
        return bool(self.work) and self.health is Health.healthy and now - self.since >= limits.straggler_s

    def is_silent(self, limits: FleetLimits, now: float) -> bool:
        """Whether the actor was silent for so long that it counts as dead."""
        return self.waited_for and now - self.since >= self._patience(limits)

    def deadlines(self, limits: FleetLimits) -> Iterator[float]:
        """When the answers of `is_late` and `is_silent` may change, if nothing happens before."""
        if self.waited_for:
            yield self.since + self._patience(limits)
        if self.work and self.health is Health.healthy:
            yield self.since + limits.straggler_s

    def holding(self, version: str | None, current: str | None) -> Actor:
        """The actor once it is known which version it holds."""
        return replace(self, version=version, health=Health.healthy if version == current else Health.stale)

    def epitaph(self) -> str:
        """How it was lost."""
        times = "once" if self.deaths == 1 else f"{self.deaths} times"
        return f"died {times}, the last time because: {self.why}"

    def _patience(self, limits: FleetLimits) -> float:
        return limits.start_timeout_s if self.health is Health.restarting else limits.call_timeout_s
