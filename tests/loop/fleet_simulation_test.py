"""The fleet's decisions under any interleaving of answers, failures, deaths, returns, additions and removals."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loop.fleet_actor import Action, Actor, FleetLimits, Health
from loop.fleet_state import FleetState


def has_work(actor: Actor) -> bool:
    return bool(actor.work)


def lives(actor: Actor) -> bool:
    return actor.health is not Health.dead


def is_idle(actor: Actor) -> bool:
    return actor.answers and not actor.waited_for


def is_asked(actor: Actor) -> bool:
    return actor.asked


class Simulation(RuleBasedStateMachine):
    """Actors that answer, fail, die, hang, return with any version, come and go in any order; the shell's part is
    played here. Restarts are not limited, so whatever happened, the work must end once actors answer again."""

    items = 30

    def __init__(self) -> None:
        super().__init__()
        limits = FleetLimits(
            in_flight=2, max_restarts=10**6, straggler_s=5.0, call_timeout_s=20.0, start_timeout_s=30.0
        )
        self.state = FleetState(limits, "v0")
        for number in range(3):
            self.state = self.state.added(number, 0.0).alive(number, 100 + number, "v0", 0.0)
        self.now = 0.0
        self.actors = 3
        self.taken = 0
        self.delivered: list[int] = []
        self.held: dict[int, str | None] = dict.fromkeys(range(3), "v0")
        self.pids = {number: 100 + number for number in range(3)}

    def numbers(self, which: Callable[[Actor], bool]) -> list[int]:
        return [number for number, actor in self.state.actors.items() if which(actor)]

    def kill(self, number: int) -> None:
        self.held[number] = None
        self.pids[number] += 1000
        self.state = self.state.died(number, "killed")

    def finish(self, number: int) -> None:
        item = self.state.actors[number].work[0]
        if item in self.state.items:
            self.delivered.append(item)
        self.state = self.state.answered(number, item, self.now)

    def act(self, number: int) -> None:
        action = self.state.action(number)
        if action is Action.probe:
            self.state = self.state.probed(number, self.now)
        elif action is Action.restart:
            self.state = self.state.restarting(number, self.now)
        elif action is Action.push:
            self.held[number] = self.state.current
            self.state = self.state.pushed(number, str(self.state.current))
        elif action is Action.end:
            assert not self.state.actors[number].work
            self.state = self.state.gone(number)

    def reply(self, number: int) -> None:
        self.state = self.state.alive(number, self.pids[number], self.held.get(number), self.now)

    @rule(more=st.booleans())
    def dispatch(self, more: bool) -> None:
        while choice := self.state.choose(more and self.taken < self.items):
            actor = self.state.actors[choice.actor]
            assert actor.health is Health.healthy and not actor.draining
            assert self.held.get(choice.actor) == self.state.current
            item = choice.item
            if item is None:
                item, self.taken = self.taken, self.taken + 1
            assert item not in actor.work
            self.state = self.state.given(choice.actor, item, self.now)

    @precondition(lambda self: self.numbers(has_work))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.finish(data.draw(st.sampled_from(self.numbers(has_work))))

    @precondition(lambda self: self.numbers(has_work))
    @rule(data=st.data(), doubt=st.booleans())
    def fail(self, data: st.DataObject, doubt: bool) -> None:
        number = data.draw(st.sampled_from(self.numbers(has_work)))
        self.state = self.state.failed(number, self.state.actors[number].work[0], "failed", self.now)
        if doubt:
            self.held[number] = "v-1"
            self.state = self.state.doubted(number)

    @precondition(lambda self: self.numbers(lives))
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self.kill(data.draw(st.sampled_from(self.numbers(lives))))

    @precondition(lambda self: self.numbers(is_idle))
    @rule(data=st.data())
    def die_unseen(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.numbers(is_idle)))
        self.held[number] = "v0"
        self.pids[number] += 1000
        self.state = self.state.probed(number, self.now)
        self.reply(number)
        assert self.state.actors[number].deaths

    @rule()
    def do_what_is_needed(self) -> None:
        for number in list(self.state.actors):
            self.act(number)

    @precondition(lambda self: self.numbers(is_asked))
    @rule(data=st.data(), version=st.sampled_from(["v0", "v1", None]))
    def ping_answered(self, data: st.DataObject, version: str | None) -> None:
        number = data.draw(st.sampled_from(self.numbers(is_asked)))
        if self.state.actors[number].health is Health.restarting:
            self.held[number] = version
        self.reply(number)

    @rule(seconds=st.sampled_from([1.0, 6.0, 6.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for number in self.state.tardy(self.now):
            self.state = self.state.late(number)
        for number in self.state.silent(self.now):
            self.kill(number)

    @precondition(lambda self: self.actors < 6)
    @rule()
    def add(self) -> None:
        self.pids[self.actors] = self.actors
        self.state = self.state.added(self.actors, self.now)
        self.actors += 1

    @precondition(lambda self: len(self.state.actors) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.state = self.state.removal(data.draw(st.sampled_from(list(self.state.actors))))

    @rule(version=st.sampled_from(["v1", "v2"]), missed=st.integers(0, 3))
    def push(self, version: str, missed: int) -> None:
        self.state = self.state.current_is(version)
        for number, actor in self.state.actors.items():
            if actor.answers:
                self.held[number] = None if number == missed else version
                lost = self.state.doubted(number) if number == missed else None
                self.state = lost or self.state.pushed(number, version)

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        assert len(set(self.delivered)) == len(self.delivered)

    @invariant()
    def nobody_holds_too_much(self) -> None:
        assert all(len(actor.work) <= 2 for actor in self.state.actors.values())

    @invariant()
    def every_item_is_delivered_or_held_or_lost(self) -> None:
        held = [item for actor in self.state.actors.values() for item in actor.work]
        for item in range(self.taken):
            places = held.count(item) + self.state.lost.count(item)
            assert item in self.delivered or 1 <= places <= 2
            assert not (item in self.state.lost and (item in held or item in self.delivered))

    @invariant()
    def something_can_always_happen(self) -> None:
        """No actor waits for nothing: it serves, is being waited for, or something is to be done with it."""
        for number, actor in self.state.actors.items():
            assert actor.serves or actor.waited_for or self.state.action(number) is not Action.nothing

    def teardown(self) -> None:
        """From here on actors answer and do not die: everything must be delivered."""
        self.add()
        for _ in range(60):
            for number in list(self.state.actors):
                self.act(number)
            for number in self.numbers(has_work):
                self.finish(number)
            for number in self.numbers(is_asked):
                self.reply(number)
            self.dispatch(True)
            if len(self.delivered) == self.items and not self.numbers(has_work):
                break
        assert sorted(self.delivered) == list(range(self.items))
        assert not any(actor.work for actor in self.state.actors.values()) and self.state.lost == ()


Simulation.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestAnyInterleaving = Simulation.TestCase
