"""What the pulse shows of what it was told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loop.fleet_actor import FleetLimits, Health
from loop.fleet_state import FleetState
from loop.learning import LearnReport
from loop.pulse import FleetSnapshot, Pulse, snapshot_of
from loop.records import ShardRef, Telemetry
from tests.loop.view_rounds import FIRST

LIMITS = FleetLimits(max_restarts=3, straggler_s=60.0, call_timeout_s=60.0, start_timeout_s=60.0)


class Clock:
    """A clock that moves when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def shard(table: str, rows: int, tokens: float = 0.0) -> ShardRef:
    """A shard of a table."""
    return ShardRef(table, 1, 0, "", rows, "", {"tokens": tokens} if tokens else {})


def test_a_snapshot_counts_actors_by_health_and_items_by_who_works_on_them() -> None:
    state = FleetState(LIMITS)
    for number in range(3):
        state = state.added(number, 0.0)
    assert snapshot_of("engine", state) == FleetSnapshot("engine", {"starting": 3})
    for number in range(2):
        state = state.alive(number, number, None, 1.0)
    for item in range(3):
        state = state.given(item % 2, item, 2.0)
    assert snapshot_of("engine", state) == FleetSnapshot("engine", {"healthy": 2, "starting": 1}, working=2, waiting=1)
    state = state.died(0, "killed")
    after = snapshot_of("engine", state.restarting(0, 3.0))
    assert after == FleetSnapshot("engine", {"healthy": 1, "starting": 1, "restarting": 1}, working=1, waiting=2)
    state = state.late(1)
    assert snapshot_of("engine", state).health == {"dead": 1, str(Health.suspect): 1, "starting": 1}


def test_an_item_with_two_actors_counts_once_and_one_that_nobody_waits_for_not_at_all() -> None:
    state = FleetState(LIMITS).added(0, 0.0).added(1, 0.0)
    state = state.given(0, 7, 1.0).given(1, 7, 2.0)
    assert (snapshot_of("e", state).working, snapshot_of("e", state).waiting) == (1, 0)
    assert snapshot_of("e", state.forgotten([7])).working == 0


def test_rates_are_those_of_the_phases_under_way() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    pulse.phases(["generate"])
    clock.now += 2.0
    pulse.phases(["generate", "judge"])
    pulse.made("generate", shard("responses", 40, 320.0))
    clock.now += 2.0
    pulse.made("judge", shard("judgements", 30))
    pulse.made("pair", shard("examples", 5))
    read = pulse.read()
    assert read.rates == {"answers": 10.0, "tokens": 80.0, "judgements": 15.0}
    pulse.phases(["learn"])
    clock.now += 1.0
    assert pulse.read().rates == {}
    assert pulse.read().totals == {"answers": 40, "tokens": 320, "judgements": 30}
    pulse.phases(["evaluate"])
    pulse.made("evaluate", shard("evaluation_responses", 6, 12.0))
    clock.now += 3.0
    assert pulse.read().rates == pytest.approx({"answers": 2.0, "tokens": 4.0})
    assert pulse.read().totals["answers"] == 46


def test_the_newest_of_everything_else_is_kept() -> None:
    pulse = Pulse(Clock())
    pulse.fleet(FleetSnapshot("engine", {"starting": 2}))
    pulse.fleet(FleetSnapshot("judge", {"healthy": 1}))
    pulse.fleet(FleetSnapshot("engine", {"healthy": 2}))
    pulse.learnt(LearnReport(steps=6, skipped_steps=2, loss=0.5, seconds=4.0))
    for event in ("died", "restarted", "died", "shard"):
        pulse.happened(Telemetry(1, "generate", event, 0.0))
    pulse.closed(FIRST)
    read = pulse.read()
    assert read.fleets == (FleetSnapshot("engine", {"healthy": 2}), FleetSnapshot("judge", {"healthy": 1}))
    assert (read.loss, read.step_rate, read.totals["steps"]) == (0.5, 2.0, 8)
    assert (read.deaths, read.restarts, read.last) == (2, 1, FIRST)
    pulse.learnt(replace(LearnReport(), skipped_steps=1))
    assert (pulse.read().loss, pulse.read().step_rate) == (None, None)
