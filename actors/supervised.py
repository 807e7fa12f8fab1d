"""Actors that are watched: asked whether they live, restarted by Ray, brought the current version, ended. What to do is
decided in `loop.fleet_state`; here it is done.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from actors.calls import is_death, raised_while_made, reason_of
from actors.fleet_events import EventKind, FleetEvent, ignore, unseen
from loop.errors import InfrastructureFailed
from loop.fleet_actor import Action, FleetLimits, Health
from loop.fleet_state import FleetState, retry_helps
from loop.pulse import FleetSnapshot, snapshot_of

RESTARTABLE = {"max_restarts": -1, "max_task_retries": 0}
"""Ray's options of an actor that a fleet supervises: Ray restarts it as often as it dies, until the fleet ends it."""


class Supervised:
    """The actors of a fleet, without its work; see `actors.fleet.Fleet` for the arguments."""

    def __init__(
        self,
        name: str,
        handles: Sequence[Any],
        limits: FleetLimits,
        *,
        noun: str = "actor",
        version: str | None = None,
        refresh: Callable[[Any], bool] | None = None,
        on_event: Callable[[FleetEvent], None] = ignore,
        on_change: Callable[[FleetSnapshot], None] = unseen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.noun = noun
        self._refresh = refresh
        self._on_event = on_event
        self._on_change = on_change
        self._shown: FleetSnapshot | None = None
        self._clock = clock
        self._state = FleetState(limits, version)
        self._handles: dict[int, Any] = {}
        self._hosts: dict[int, str] = {}
        self._pings: dict[Any, int] = {}
        self._numbers = count()
        for handle in handles:
            self.add(handle)

    @property
    def handles(self) -> list[Any]:
        """All actors that were not ended, in the order in which they came."""
        return list(self._handles.values())

    def serving(self) -> list[Any]:
        """The actors that may be given work: they answer and hold the current version."""
        return [self._handles[n] for n, actor in self._state.actors.items() if actor.serves]

    def alive(self) -> list[Any]:
        """The actors that answered last time, whatever they hold: those to push to, after `check`."""
        return [self._handles[n] for n, actor in self._state.actors.items() if actor.answers]

    def add(self, handle: Any) -> None:
        """Take an actor in; it is given work once it answers and holds the current version."""
        number = next(self._numbers)
        self._handles[number] = handle
        self._ping(number)
        self._state = self._state.added(number, self._clock())

    def remove(self, handle: Any) -> None:
        """Give an actor nothing new, and end it when what it holds is done. Nothing happens to one that was lost."""
        for number in [n for n, h in self._handles.items() if h == handle]:
            self._state = self._state.removal(number)
        self._act(push=False)

    def pushed(self, version: str, failed: Sequence[Any] = ()) -> None:
        """There is a new current version, which all of `alive` hold except those that `failed` in the push; these are
        asked what became of them."""
        self._state = self._state.current_is(version)
        for number, actor in self._state.actors.items():
            if actor.answers:
                lost = self._handles[number] in failed
                self._state = self._state.doubted(number) if lost else self._state.pushed(number, version)
        self._act(push=False)

    def check(self, refresh: bool = True) -> None:
        """Ask every actor whether it lives, and wait until those that do not are back; with `refresh`, until they hold
        the current version. Also waits for actors that are starting.

        Raises: InfrastructureFailed when no actor is left.
        """
        self.doubt()
        self._act(refresh)
        while not self._state.settled(stale_too=not refresh):
            self._turn(refresh)
        self._show()
        self._require_actors()

    def doubt(self) -> None:
        """Ask every actor whether it lives, without waiting for the answers."""
        for number, actor in self._state.actors.items():
            if actor.answers and not actor.asked:
                self._ping(number)
                self._state = self._state.probed(number, self._clock())

    def well(self) -> bool:
        """Whether all actors serve, and none is in doubt. Raises: InfrastructureFailed when no actor is left."""
        self._require_actors()
        return self._state.settled(stale_too=False)

    def _turn(self, push: bool = True) -> None:
        """Do what actors need, wait until something happens, and do what follows. Returns at once when nothing is
        waited for."""
        watched = self._watched()
        for fleet in watched:
            fleet._act(push)
            fleet._require_actors()
            fleet._show()
        references = [reference for fleet in watched for reference in fleet._references()]
        if not references:
            return
        deadlines = [at for fleet in watched if (at := fleet._state.deadline()) is not None]
        ready, _ = ray.wait(references, timeout=max(0.0, min(deadlines) - self._clock()))
        for fleet in watched:
            fleet._take(ready)
            fleet._take_deadlines()
            fleet._act(push)

    def _show(self) -> None:
        """Tell how the fleet is, if that is news."""
        now = snapshot_of(self.noun, self._state)
        if now != self._shown:
            self._shown = now
            self._on_change(now)

    def _watched(self) -> list[Supervised]:
        """The fleets whose actors are waited for."""
        return [self]

    def _references(self) -> list[Any]:
        return list(self._pings)

    def _take(self, ready: Sequence[Any]) -> None:
        """Take in what was answered."""
        for reference in ready:
            if reference in self._pings:
                self._take_ping(reference)

    def _take_ping(self, reference: Any) -> None:
        number = self._pings.pop(reference)
        before = self._state.actors[number]
        try:
            pid, self._hosts[number], version = ray.get(reference)
        except RayError as error:
            if not is_death(error):
                raise
            self._take_death(number, error)
            return
        now = self._clock()
        self._state = self._state.alive(number, pid, version, now)
        after = self._state.actors[number]
        unseen = after.deaths > before.deaths
        if unseen:
            self._drop(number)
            self._tell("died", number, detail=after.why, pid=before.pid)
        if unseen or (after.deaths and before.health is Health.restarting):
            self._tell("restarted", number, seconds=now - before.since)

    def _take_deadlines(self) -> None:
        """Look for actors that are late or silent, but only after everything that was answered has been taken in."""
        deadline = self._state.deadline()
        if deadline is None or deadline > self._clock():
            return
        references = self._references()
        self._take(ray.wait(references, num_returns=len(references), timeout=0)[0])
        now = self._clock()
        for number in self._state.tardy(now):
            self._late(number, now)
        for number in self._state.silent(now):
            silence = now - self._state.actors[number].since
            ray.kill(self._handles[number], no_restart=False)
            self._died(number, f"it was silent for {silence:.0f} s")

    def _late(self, number: int, now: float) -> None:
        self._state = self._state.late(number)

    def _take_death(self, number: int, error: RayError) -> None:
        """Raises: what kept the actor from being made, where another one would fare no better."""
        raised = raised_while_made(error)
        if raised is not None and not retry_helps(raised):
            raise raised from None
        self._died(number, reason_of(error), beyond_restart=isinstance(error, ActorDiedError))

    def _died(self, number: int, why: str, beyond_restart: bool = False) -> None:
        self._tell("died", number, detail=why)
        self._state = self._state.died(number, why, beyond_restart)
        self._drop(number)

    def _drop(self, number: int) -> None:
        """Answers of an actor that died are of no interest."""
        self._pings = {r: n for r, n in self._pings.items() if n != number}

    def _act(self, push: bool) -> None:
        """Do what actors need; without `push`, stale ones stay stale."""
        for number in list(self._state.actors):
            while number in self._state.actors and (action := self._state.action(number)) is not Action.nothing:
                if action is Action.push:
                    if not push:
                        break
                    self._bring_version(number)
                elif action is Action.end:
                    self._end(number)
                else:
                    self._ping(number)
                    event = self._state.probed if action is Action.probe else self._state.restarting
                    self._state = event(number, self._clock())

    def _bring_version(self, number: int) -> None:
        current = self._state.current
        assert self._refresh is not None and current is not None, "only actors with a version can be stale"
        if self._refresh(self._handles[number]):
            self._state = self._state.pushed(number, current)
        else:
            self._died(number, "it died or was silent while it was brought the current version")

    def _end(self, number: int) -> None:
        ray.kill(self._handles[number])
        self._drop(number)
        self._state = self._state.gone(number)
        del self._handles[number]

    def _ping(self, number: int) -> None:
        # Ray keeps the question until a restarted actor can answer it
        ask = self._handles[number].__ray_call__.options(max_task_retries=-1)
        self._pings[ask.remote(_who, self._refresh is not None)] = number

    def _require_actors(self) -> None:
        if not self._state.actors:
            told = [f"{self.noun} {number} {how}" for number, how in self._state.ended.items()]
            raise InfrastructureFailed(f"{self.name}: {'; '.join(told) or f'no {self.noun} is left'}.")

    def _tell(
        self,
        kind: EventKind,
        number: int,
        shard: int | None = None,
        attempt: int | None = None,
        seconds: float | None = None,
        detail: str | None = None,
        pid: int | None = None,
    ) -> None:
        pid, host = pid or self._state.actors[number].pid, self._hosts.get(number)
        self._on_event(FleetEvent(kind, f"{self.name}-{number}", pid, host, shard, attempt, seconds, detail))


def _who(actor: Any, versioned: bool) -> tuple[int, str, str | None]:
    """Runs inside an actor: its process, its host and the version that it holds."""
    return os.getpid(), socket.gethostname(), actor.version() if versioned else None
