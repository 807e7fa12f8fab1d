"""The pulse of a run: how its fleets are, how fast work is done and what came out last, as of now. Fleets and the book
tell it; whoever draws or samples it reads it, from any thread.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from loop.fleet_actor import Actor, Health
from loop.fleet_state import FleetState
from loop.learning import LearnReport
from loop.records import ShardRef, Telemetry
from loop.summary import RoundSummary

UNITS = {
    "drafts": "answers",
    "responses": "answers",
    "evaluation_responses": "answers",
    "draft_judgements": "judgements",
    "judgements": "judgements",
    "evaluation_judgements": "judgements",
}
"""What is counted of a table's rows."""


STARTING = "starting"


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """A fleet at one moment: its actors by health (or `starting`), how many of its items are worked on, and how many
    wait, given to an actor that is busy or lost by one."""

    noun: str
    health: Mapping[str, int]
    working: int = 0
    waiting: int = 0


def snapshot_of(noun: str, state: FleetState) -> FleetSnapshot:
    """What a fleet whose actors are called `noun` shows of its state."""
    health = Counter(_told(actor) for actor in state.actors.values())
    held = [actor.work for actor in state.actors.values() if actor.work]
    known = {*chain.from_iterable(held)} & state.items.keys()
    heads = {work[0] for work in held} & state.items.keys()
    return FleetSnapshot(noun, dict(health), len(heads), len(known - heads) + len(state.lost))


def _told(actor: Actor) -> str:
    """An actor's health in one word; the first start of one is nothing to worry about."""
    return STARTING if actor.health is Health.restarting and not actor.deaths else str(actor.health)


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the pulse. `totals` are answers, tokens, judgements and steps made since the process began, `rates`
    the same per second in the phases under way. `loss` and `step_rate` are those of the newest learn phase; `deaths`
    and `restarts` count actors."""

    fleets: tuple[FleetSnapshot, ...] = ()
    totals: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    loss: float | None = None
    step_rate: float | None = None
    deaths: int = 0
    restarts: int = 0
    last: RoundSummary | None = None


class Pulse:
    """Collects what a `Reading` shows. `clock`: seconds, never going back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._fleets: dict[str, FleetSnapshot] = {}
        self._totals: Counter[str] = Counter()
        self._phases: dict[str, tuple[float, Counter[str]]] = {}
        self._reading = Reading()

    def fleet(self, snapshot: FleetSnapshot) -> None:
        """A fleet is like this now."""
        with self._lock:
            self._fleets[snapshot.noun] = snapshot

    def phases(self, under_way: Sequence[str]) -> None:
        """These phases are under way now."""
        with self._lock:
            begun = (self._clock(), Counter[str]())
            self._phases = {name: self._phases.get(name, begun) for name in under_way}

    def made(self, phase: str, ref: ShardRef) -> None:
        """A phase made a shard."""
        counts = Counter({UNITS[ref.table]: ref.rows}) if ref.table in UNITS else Counter[str]()
        if UNITS.get(ref.table) == "answers":
            counts["tokens"] = int(ref.stats.get("tokens", 0))
        with self._lock:
            self._totals += counts
            if phase in self._phases:
                self._phases[phase][1].update(counts)

    def learnt(self, report: LearnReport) -> None:
        """A learn phase came to this."""
        made = report.steps + report.skipped_steps
        rate = made / report.seconds if report.seconds > 0 else None
        with self._lock:
            self._totals["steps"] += made
            self._reading = replace(self._reading, loss=report.loss if report.steps else None, step_rate=rate)

    def happened(self, event: Telemetry) -> None:
        """This befell an actor."""
        with self._lock:
            died, back = event.event == "died", event.event == "restarted"
            held = self._reading
            self._reading = replace(held, deaths=held.deaths + died, restarts=held.restarts + back)

    def closed(self, round: RoundSummary) -> None:
        """A round came to this."""
        with self._lock:
            self._reading = replace(self._reading, last=round)

    def read(self) -> Reading:
        """The pulse as of now."""
        with self._lock:
            now, rates = self._clock(), Counter[str]()
            for begun, counts in self._phases.values():
                if now > begun:
                    rates.update({unit: count / (now - begun) for unit, count in counts.items()})  # type: ignore[misc]
            return replace(self._reading, fleets=(*self._fleets.values(),), totals=dict(self._totals), rates=rates)
