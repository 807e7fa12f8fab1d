"""The fleet's decisions, without any actor, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from loop.errors import InfrastructureFailed, ProcessDied, Refused, StoreFailed, TimedOut
from loop.fleet_actor import Action, FleetLimits, Health
from loop.fleet_state import Choice, FleetState, retry_helps

LIMITS = FleetLimits(in_flight=2, max_restarts=2, straggler_s=10.0, call_timeout_s=100.0, start_timeout_s=50.0)


def fleet(actors: int = 2, version: str | None = None, limits: FleetLimits = LIMITS) -> FleetState:
    """Actors that all serve, at time 0."""
    state = FleetState(limits, version)
    for number in range(actors):
        state = state.added(number, 0.0).alive(number, 100 + number, version, 0.0)
    return state


def test_an_actor_that_has_not_answered_gets_nothing() -> None:
    state = FleetState(LIMITS).added(0, 0.0)
    assert state.choose(True) is None
    assert state.alive(0, 1, None, 5.0).choose(True) == Choice(0, None)


def test_the_actor_with_the_fewest_items_is_next_and_none_gets_too_many() -> None:
    state = fleet()
    for item, number in enumerate((0, 1, 0, 1)):
        assert state.choose(True) == Choice(number, None)
        state = state.given(number, item, 1.0)
    assert state.choose(True) is None
    assert state.answered(1, 1, 2.0).choose(True) == Choice(1, None)


def test_what_a_dead_actor_held_is_given_again_before_anything_new() -> None:
    state = fleet().given(0, 7, 1.0).given(0, 8, 1.0).died(0, "killed")
    assert state.action(0) is Action.restart
    assert state.choose(True) == Choice(1, 7)
    state = state.given(1, 7, 2.0)
    assert state.items[7].given == 2
    assert state.choose(True) == Choice(1, 8)


def test_only_what_an_actor_worked_on_counts_as_failed_when_it_dies() -> None:
    state = fleet().given(0, 7, 1.0).given(0, 8, 1.0).died(0, "killed")
    assert (state.items[7].failures, state.items[8].failures) == (1, 0)


def test_an_actor_that_came_back_gets_nothing_before_it_holds_the_current_version() -> None:
    state = fleet(1, "v2").given(0, 7, 1.0).died(0, "killed").restarting(0, 2.0)
    assert state.action(0) is Action.nothing
    state = state.alive(0, 200, "v0", 30.0)
    assert (state.actors[0].health, state.action(0), state.choose(True)) == (Health.stale, Action.push, None)
    assert state.pushed(0, "v2").choose(True) == Choice(0, 7)


def test_a_new_version_makes_actors_stale_until_they_hold_it() -> None:
    state = fleet(2, "v1").current_is("v2").pushed(1, "v2")
    assert [state.actors[n].health for n in (0, 1)] == [Health.stale, Health.healthy]
    assert state.choose(True) == Choice(1, None)


def test_an_actor_that_died_unseen_is_known_by_its_process() -> None:
    state = fleet(1, "v2").probed(0, 10.0).alive(0, 999, "v0", 11.0)
    assert (state.actors[0].deaths, state.actors[0].health) == (1, Health.stale)
    assert fleet(1, "v2").probed(0, 10.0).alive(0, 100, "v2", 11.0).actors[0].deaths == 0


def test_an_actor_found_restarted_too_often_is_ended() -> None:
    state = fleet(1, limits=FleetLimits(max_restarts=0, straggler_s=1, call_timeout_s=1, start_timeout_s=1))
    assert state.probed(0, 10.0).alive(0, 999, None, 11.0).action(0) is Action.end


def test_items_of_a_late_actor_go_to_another_one_but_last_and_once() -> None:
    state = fleet(3).given(0, 7, 1.0).given(0, 8, 1.0)
    assert state.tardy(10.9) == [] and state.deadline() == 11.0
    assert state.tardy(11.0) == [0]
    state = state.late(0)
    assert state.choose(True) == Choice(1, None)
    assert state.choose(False) == Choice(1, 7)
    state = state.given(1, 7, 12.0)
    assert state.choose(False) == Choice(2, 8)
    assert state.given(2, 8, 12.0).choose(False) is None


def test_the_first_answer_counts_and_the_late_one_frees_its_actor() -> None:
    state = fleet().given(0, 7, 1.0).late(0).given(1, 7, 12.0).answered(1, 7, 13.0)
    assert 7 not in state.items and state.choose(False) is None
    state = state.answered(0, 7, 14.0)
    assert state.actors[0].health is Health.healthy and state.actors[0].work == ()


def test_an_item_whose_copy_is_lost_is_not_lost() -> None:
    state = fleet().given(0, 7, 1.0).late(0).given(1, 7, 12.0).died(1, "killed")
    assert state.lost == ()
    assert state.died(0, "killed").lost == (7,)


def test_waiting_for_its_turn_makes_no_item_late() -> None:
    state = fleet(1).given(0, 7, 0.0).given(0, 8, 0.0).answered(0, 7, 9.0)
    assert state.tardy(15.0) == [] and state.tardy(19.0) == [0]


def test_silence_is_not_broken_by_asking_or_giving_more() -> None:
    state = fleet(1).given(0, 7, 0.0).given(0, 8, 60.0).probed(0, 70.0)
    assert state.actors[0].since == 0.0 and state.silent(100.0) == [0]


def test_a_stale_actor_finishes_what_it_holds_before_it_gets_a_version() -> None:
    state = fleet(1, "v1").given(0, 7, 0.0).current_is("v2")
    assert state.action(0) is Action.nothing
    assert state.answered(0, 7, 1.0).action(0) is Action.push


def test_a_silent_actor_counts_as_dead_sooner_when_it_starts() -> None:
    busy = fleet(1).given(0, 7, 0.0)
    assert busy.silent(99.0) == [] and busy.silent(100.0) == [0]
    starting = busy.died(0, "killed").restarting(0, 200.0)
    assert starting.silent(249.0) == [] and starting.silent(250.0) == [0] and starting.deadline() == 250.0


def test_an_idle_actor_is_neither_late_nor_silent() -> None:
    assert fleet().silent(1e9) == [] and fleet().tardy(1e9) == [] and fleet().deadline() is None


def test_an_actor_that_dies_too_often_is_ended_and_its_end_told() -> None:
    state = fleet()
    for _ in range(2):
        state = state.died(0, "killed")
        assert state.action(0) is Action.restart
        state = state.restarting(0, 1.0).alive(0, 1, None, 2.0)
    state = state.died(0, "the last kill")
    assert state.action(0) is Action.end
    assert state.gone(0).ended == {0: "died 3 times, the last time because: the last kill"}
    assert state.gone(0).choose(True) == Choice(1, None)


def test_an_actor_that_cannot_be_restarted_is_ended_at_once() -> None:
    assert fleet().died(0, "its constructor failed", beyond_restart=True).action(0) is Action.end


def test_a_removed_actor_finishes_what_it_holds() -> None:
    state = fleet().given(0, 7, 1.0).removal(0)
    assert state.action(0) is Action.nothing
    assert state.choose(True) == Choice(1, None)
    state = state.answered(0, 7, 2.0)
    assert state.action(0) is Action.end and state.gone(0).ended == {}


def test_a_removed_actor_gets_nothing_even_if_it_is_the_freest() -> None:
    state = fleet().given(0, 7, 1.0).given(1, 8, 1.0).given(1, 9, 1.0).removal(0)
    assert state.choose(True) is None


def test_a_removed_actor_that_dies_is_not_restarted() -> None:
    state = fleet().given(0, 7, 1.0).removal(0).died(0, "killed")
    assert (state.action(0), state.lost) == (Action.end, (7,))


def test_an_actor_in_doubt_is_asked_and_gets_nothing_until_it_answered() -> None:
    state = fleet(1, "v2").given(0, 7, 1.0).given(0, 8, 1.0).failed(0, 7, "stale", 2.0).doubted(0)
    assert (state.action(0), state.lost, state.choose(True)) == (Action.probe, (7,), None)
    state = state.probed(0, 2.0).answered(0, 8, 3.0)
    assert state.choose(True) is None
    assert state.alive(0, 100, "v2", 4.0).choose(True) == Choice(0, 7)


def test_an_item_that_keeps_failing_is_hopeless() -> None:
    state = fleet()
    for _ in range(4):
        assert state.hopeless() is None
        state = state.given(0, 7, 1.0).failed(0, 7, "an engine died", 2.0)
    assert state.hopeless() == 7 and state.items[7].why == "an engine died"


def test_forgotten_items_are_not_given_again_but_hold_their_actor() -> None:
    state = fleet(1).given(0, 7, 1.0).given(0, 8, 1.0).forgotten([7, 8])
    assert state.choose(True) is None
    assert state.died(0, "killed").lost == ()
    assert fleet(1).given(0, 7, 1.0).died(0, "killed").forgotten([7]).lost == ()


def test_a_fleet_is_settled_when_nobody_is_waited_for() -> None:
    state = fleet(2, "v1")
    assert state.settled(stale_too=False) and not state.probed(0, 1.0).settled(stale_too=True)
    stale = state.current_is("v2")
    assert stale.settled(stale_too=True) and not stale.settled(stale_too=False)


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (ProcessDied("x"), True),
        (TimedOut("x"), True),
        (InfrastructureFailed("x"), True),
        (StoreFailed("x"), False),
        (Refused("x"), False),
    ],
)
def test_what_the_store_or_the_input_did_is_not_retried(error: Any, helps: bool) -> None:
    assert retry_helps(error) is helps
