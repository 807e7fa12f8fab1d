"""A fleet: equal actors that take items as they become free. When one dies, others go on and its work is given out
again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayError

from actors.calls import clause, is_death, translated
from actors.fleet_events import FleetEvent, ignore, unseen
from actors.supervised import Supervised
from loop.errors import InfrastructureFailed
from loop.fleet_actor import FleetLimits
from loop.fleet_state import retry_helps
from loop.pulse import FleetSnapshot

Item = TypeVar("Item")
Result = TypeVar("Result")


class Fleet(Supervised, Generic[Item, Result]):
    """Dispatches items to actors with back-pressure: each holds at most `limits.in_flight` of them, so it never waits
    for the next one. To be used from one thread; several maps may be open at a time.

    Args:
        name: of the work, for messages and events.
        handles: Ray actors made with the options `RESTARTABLE`. They may still be starting.
        limits: see `FleetLimits`.
        noun: what a person calls one of the actors.
        version: the policy version that actors must hold to be given work; None: they hold none. They tell it by their
            method `version`.
        refresh: brings an actor the current version; False: the actor died of it, or was silent. Raises what ends the
            run. Goes with `version`.
        depends_on: a fleet whose actors these call. When a call fails because of one of them, nothing is dispatched
            until that whole fleet is well again, and the call is repeated.
        on_event: told what befalls actors and shards.
        on_change: told how the fleet is, whenever that has changed before something is waited for.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        name: str,
        handles: Sequence[Any],
        limits: FleetLimits,
        *,
        noun: str = "actor",
        version: str | None = None,
        refresh: Callable[[Any], bool] | None = None,
        depends_on: Fleet[Any, Any] | None = None,
        on_event: Callable[[FleetEvent], None] = ignore,
        on_change: Callable[[FleetSnapshot], None] = unseen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            name,
            handles,
            limits,
            noun=noun,
            version=version,
            refresh=refresh,
            on_event=on_event,
            on_change=on_change,
            clock=clock,
        )
        self._depends_on = depends_on
        self._calls: dict[Any, _Call] = {}
        self._jobs: dict[int, _Job] = {}
        self._keys = count()

    def map(self, call: Callable[[Any, Item], Any], items: Iterable[Item]) -> Iterator[Result]:
        """Results as they are completed, one per item. `call(handle, item)` starts the work on one actor and returns
        its reference; it is repeated with the same item when the actor dies.

        Raises: InfrastructureFailed when no actor is left, or an item failed too often (see `FleetLimits`); errors that
        a repetition does not mend, at once; Ray's task error for a fault in the program.
        """
        job = _Job(call, iter(items))
        try:
            while True:
                # back-pressure: nothing new before the answers are taken
                while job.results:
                    yield job.results.popleft()
                self._dispatch(job)
                if job.exhausted and not job.items and not job.results:
                    return
                if not job.results:
                    self._turn()
        finally:
            self._state = self._state.forgotten(job.items)
            for key in job.items:
                del self._jobs[key]
            self._show()

    def _dispatch(self, job: _Job) -> None:
        """Give out what actors are free for. New items come from `job` only, lost ones from any."""
        while self._depends_on is None or self._depends_on.well():
            choice = self._state.choose(job.has_more)
            if choice is None:
                return
            key = choice.item
            if key is None:
                if job.pulled is None:
                    # the source may use this very fleet, so what was chosen before may not hold afterwards
                    job.pull()
                    continue
                key = next(self._keys)
                (job.items[key],), job.pulled = job.pulled, None
                self._jobs[key] = job
            owner = self._jobs[key]
            reference = owner.call(self._handles[choice.actor], owner.items[key])
            now = self._clock()
            self._state = self._state.given(choice.actor, key, now)
            self._calls[reference] = _Call(choice.actor, key, now, self._state.items[key].given)

    def _watched(self) -> list[Supervised]:
        other = self._depends_on
        return [self] if other is None or other.well() else [self, other]

    def _references(self) -> list[Any]:
        return [*self._calls, *super()._references()]

    def _take(self, ready: Sequence[Any]) -> None:
        for reference in ready:
            if reference in self._calls:
                self._take_call(reference)
        super()._take(ready)

    def _take_call(self, reference: Any) -> None:
        call = self._calls.pop(reference)
        try:
            value = ray.get(reference)
        except RayError as error:
            self._take_failure(call, error)
            return
        now = self._clock()
        first = call.key in self._state.items
        self._state = self._state.answered(call.actor, call.key, now)
        if first:
            job = self._jobs.pop(call.key)
            self._tell("shard", call.actor, _shard(job.items.pop(call.key)), call.attempt, now - call.at)
            job.results.append(value)

    def _take_failure(self, call: _Call, error: RayError) -> None:
        if is_death(error):
            self._take_death(call.actor, error)
            return
        own = translated(error, self.name)
        if own is None:
            raise error
        if not retry_helps(own):
            raise own from None
        self._state = self._state.failed(call.actor, call.key, clause(own), self._clock())
        if self._refresh is not None:
            self._state = self._state.doubted(call.actor)
        if self._depends_on is not None:
            self._depends_on.doubt()
        self._require_hope()

    def _late(self, number: int, now: float) -> None:
        actor = self._state.actors[number]
        key = actor.work[0]
        if key in self._state.items:
            item, attempt = self._jobs[key].items[key], self._state.items[key].given
            self._tell("straggler", number, _shard(item), attempt, now - actor.since)
        super()._late(number, now)

    def _died(self, number: int, why: str, beyond_restart: bool = False) -> None:
        super()._died(number, why, beyond_restart)
        self._require_hope()

    def _drop(self, number: int) -> None:
        self._calls = {r: call for r, call in self._calls.items() if call.actor != number}
        super()._drop(number)

    def _require_hope(self) -> None:
        """Raises: InfrastructureFailed when an item failed too often: it may be what kills the actors."""
        if (key := self._state.hopeless()) is not None:
            item, shard = self._state.items[key], _shard(self._jobs[key].items[key])
            what = "an item" if shard is None else f"shard {shard}"
            raise InfrastructureFailed(
                f"{self.name}: {what} failed {item.failures} times, the last time because: {item.why}."
            )


@dataclass(frozen=True, slots=True)
class _Call:
    """A call in flight."""

    actor: int
    key: int
    at: float
    attempt: int


@dataclass(slots=True)
class _Job:
    """One `map` that is under way: its items that were given out and not answered, and answers nobody has taken."""

    call: Callable[[Any, Any], Any]
    source: Iterator[Any]
    items: dict[int, Any] = field(default_factory=dict)
    results: deque[Any] = field(default_factory=deque)
    pulled: tuple[Any] | None = None
    exhausted: bool = False

    @property
    def has_more(self) -> bool:
        """Whether there may be items that were not given out."""
        return self.pulled is not None or not self.exhausted

    def pull(self) -> None:
        """Take the next item from the source."""
        try:
            self.pulled = (next(self.source),)
        except StopIteration:
            self.exhausted = True


def _shard(item: Any) -> int | None:
    return getattr(item, "shard", None)
