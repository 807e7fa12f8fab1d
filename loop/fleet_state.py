"""What a fleet knows of its actors and of the work they hold, and what follows from it: pure, with the time handed in.

`FleetState` is changed by events, each of which returns another one, and asked for decisions. Actors and items are
numbers; who they are is the caller's business. Items are kept until their first answer, so each is delivered once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from loop.errors import InfrastructureFailed, RatchetError, StoreFailed
from loop.fleet_actor import Action, Actor, FleetLimits, Health


@dataclass(frozen=True, slots=True)
class Item:
    """Work that has not been answered. `given`: times it was given out; `failures`: times that went wrong."""

    given: int = 0
    failures: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The actor to be given work next, and the item; None: the next one that nobody has been given."""

    actor: int
    item: int | None


def retry_helps(error: RatchetError) -> bool:
    """Whether the same work might succeed elsewhere: infrastructure failed, but not the store that all share."""
    return isinstance(error, InfrastructureFailed) and not isinstance(error, StoreFailed)


@dataclass(frozen=True, slots=True)
class FleetState:
    """A fleet at one moment. `current` is the version that its actors should hold (None: they have none), `lost` are
    items that must be given again, `ended` says how actors were lost for good."""

    limits: FleetLimits
    current: str | None = None
    actors: Mapping[int, Actor] = field(default_factory=dict)
    items: Mapping[int, Item] = field(default_factory=dict)
    lost: tuple[int, ...] = ()
    ended: Mapping[int, str] = field(default_factory=dict)

    # events: actors

    def added(self, number: int, now: float) -> FleetState:
        """A new actor, which may still be starting; it is asked whether it lives."""
        return self._with(number, Actor(since=now, asked=True))

    def removal(self, number: int) -> FleetState:
        """The actor is not wanted any more: it gets nothing new, and ends when it holds nothing."""
        return self._with(number, replace(self.actors[number], draining=True))

    def probed(self, number: int, now: float) -> FleetState:
        """The actor was asked whether it lives."""
        actor = self.actors[number]
        return self._with(number, replace(actor, asked=True, since=actor.since if actor.waited_for else now))

    def alive(self, number: int, pid: int, version: str | None, now: float) -> FleetState:
        """The actor answered a probe. Another process than before means that it died unseen."""
        actor = replace(self.actors[number], asked=False, since=now)
        if actor.pid not in (None, pid) and actor.health is not Health.restarting:
            died = self._with(number, actor).died(number, "found restarted")
            actor = died.actors[number]
            if actor.deaths > self.limits.max_restarts:
                return died
            return died._with(number, replace(actor, pid=pid, since=now).holding(version, self.current))
        return self._with(number, replace(actor, pid=pid).holding(version, self.current))

    def pushed(self, number: int, version: str) -> FleetState:
        """The actor got a version and proved that it holds it."""
        return self._with(number, self.actors[number].holding(version, self.current))

    def current_is(self, version: str) -> FleetState:
        """The version that actors should hold is another one."""
        known = {n: a for n, a in self.actors.items() if a.health in (Health.healthy, Health.stale)}
        judged = {number: actor.holding(actor.version, version) for number, actor in known.items()}
        return replace(self, current=version, actors={**self.actors, **judged})

    def doubted(self, number: int) -> FleetState:
        """What the actor holds is not certain any more: nothing for it until it was asked."""
        return self._with(number, replace(self.actors[number], health=Health.suspect, version=None))

    def late(self, number: int) -> FleetState:
        """The actor has been working on an item for longer than `straggler_s`."""
        return self._with(number, replace(self.actors[number], health=Health.suspect))

    def died(self, number: int, why: str, beyond_restart: bool = False) -> FleetState:
        """The actor died or counts as dead. What only it held is lost; what it worked on has failed once more."""
        actor = self.actors[number]
        state = self._with(
            number,
            replace(
                actor,
                health=Health.dead,
                work=(),
                asked=False,
                version=None,
                deaths=actor.deaths + 1,
                why=why,
                beyond_restart=beyond_restart,
            ),
        )
        return state._blamed(actor.work[:1], why)._lost(actor.work)

    def restarting(self, number: int, now: float) -> FleetState:
        """A dead actor is being started again, and was asked whether it lives."""
        return self._with(number, replace(self.actors[number], health=Health.restarting, asked=True, since=now))

    def gone(self, number: int) -> FleetState:
        """The actor, which holds nothing, was ended for good."""
        actor = self.actors[number]
        others = {n: a for n, a in self.actors.items() if n != number}
        ended = self.ended if actor.draining else {**self.ended, number: actor.epitaph()}
        return replace(self, actors=others, ended=ended)

    # events: items

    def given(self, number: int, item: int, now: float) -> FleetState:
        """An item was given to an actor, for the first time or again."""
        actor, known = self.actors[number], self.items.get(item, Item())
        since = actor.since if actor.waited_for else now
        state = self._with(number, replace(actor, work=(*actor.work, item), since=since))
        items = {**self.items, item: replace(known, given=known.given + 1)}
        return replace(state, items=items, lost=tuple(i for i in self.lost if i != item))

    def answered(self, number: int, item: int, now: float) -> FleetState:
        """An actor answered. The item was delivered if it still stood in `items` before."""
        items = {i: known for i, known in self.items.items() if i != item}
        return replace(self._returned(number, item, now), items=items)

    def failed(self, number: int, item: int, why: str, now: float) -> FleetState:
        """An actor that lives could not do its item for a reason that may pass."""
        return self._returned(number, item, now)._blamed((item,), why)._lost((item,))

    def forgotten(self, items: Iterable[int]) -> FleetState:
        """Nobody waits for these items any more; whoever works on one still has to answer before it gets another."""
        given_up = set(items)
        left = {i: known for i, known in self.items.items() if i not in given_up}
        return replace(self, items=left, lost=tuple(i for i in self.lost if i in left))

    # decisions

    def choose(self, more: bool) -> Choice | None:
        """Who gets what next: lost items go before new ones (`more`: there may be some), and items of late actors,
        which another one may take as well, come last. None: nobody is free, or there is nothing to give."""
        free = [n for n, a in self.actors.items() if a.serves and len(a.work) < self.limits.in_flight]
        if not free:
            return None
        number = min(free, key=lambda n: (len(self.actors[n].work), n))
        if self.lost:
            return Choice(number, self.lost[0])
        if more:
            return Choice(number, None)
        return next((Choice(number, item) for item in self._slow()), None)

    def action(self, number: int) -> Action:
        """What is to be done with an actor now."""
        return self.actors[number].action(self.limits)

    def tardy(self, now: float) -> list[int]:
        """Actors that became late with an item."""
        return [number for number, actor in self.actors.items() if actor.is_late(self.limits, now)]

    def silent(self, now: float) -> list[int]:
        """Actors that have been silent for so long that they count as dead."""
        return [number for number, actor in self.actors.items() if actor.is_silent(self.limits, now)]

    def deadline(self) -> float | None:
        """When `tardy` or `silent` may next name another actor, if nothing happens before; None: never."""
        return min(chain.from_iterable(a.deadlines(self.limits) for a in self.actors.values()), default=None)

    def settled(self, stale_too: bool) -> bool:
        """Whether nothing is going on with any actor but work; `stale_too`: a stale actor counts as settled."""
        calm = (Health.healthy, Health.stale) if stale_too else (Health.healthy,)
        return all(actor.health in calm and not actor.asked for actor in self.actors.values())

    def hopeless(self) -> int | None:
        """An item that failed so often that giving it out again is no use: once more than an actor may die, so that an
        actor's last death is told as such."""
        return next((i for i, item in self.items.items() if item.failures > self.limits.max_restarts + 1), None)

    # helpers

    def _with(self, number: int, actor: Actor) -> FleetState:
        return replace(self, actors={**self.actors, number: actor})

    def _returned(self, number: int, item: int, now: float) -> FleetState:
        actor = self.actors[number]
        at = actor.work.index(item)
        actor = replace(actor, work=actor.work[:at] + actor.work[at + 1 :], since=now)
        # an actor that was only late is as good as before; one whose version is in doubt waits for its probe
        if actor.health is Health.suspect and actor.version == self.current:
            actor = replace(actor, health=Health.healthy)
        return self._with(number, actor)

    def _blamed(self, items: Iterable[int], why: str) -> FleetState:
        known = {i: self.items[i] for i in items if i in self.items}
        failed = {i: replace(item, failures=item.failures + 1, why=why) for i, item in known.items()}
        return replace(self, items={**self.items, **failed})

    def _lost(self, items: Iterable[int]) -> FleetState:
        """Items that nobody holds any more, among some that an actor gave back."""
        held = set(self._held())
        return replace(self, lost=(*self.lost, *(i for i in items if i in self.items and i not in held)))

    def _held(self) -> Iterator[int]:
        return chain.from_iterable(actor.work for actor in self.actors.values())

    def _slow(self) -> Iterator[int]:
        """Items that wait with a late actor and with nobody else."""
        held = list(self._held())
        late = chain.from_iterable(a.work for a in self.actors.values() if a.health is Health.suspect)
        return (item for item in late if item in self.items and held.count(item) == 1)
