from __future__ import annotations

from itertools import product

import pytest

from actors.bench.chaos_plan import ACTORS, NAMED, POINTS, TIMED, Strike, due, missed, schedule, timed


def test_without_a_number_every_phase_and_actor_has_a_kill() -> None:
    planned = {(strike.phase, strike.actor) for strike in schedule(0, 0, 3)}
    assert planned == set(product(POINTS, ACTORS))


def test_the_first_ten_kills_are_in_commits_pushes_and_checkpoints() -> None:
    planned = schedule(10, 5, 3)
    assert [(s.phase, s.actor, s.point) for s in planned] == list(NAMED)
    assert {str(s.point).partition("/")[0] for s in planned} == {"commit", "learn", "checkpoint", "push"}


@pytest.mark.parametrize("kills", [1, 20, 80])
def test_as_many_kills_are_planned_as_asked_for_and_enough_have_named_and_drawn_moments(kills: int) -> None:
    planned = schedule(kills, 0, 3)
    assert len(planned) == kills
    drawn = [s for s in planned if s.point is None]
    assert all(s.phase in TIMED and 0 <= s.share < 1 for s in drawn)
    if kills >= 20:
        assert drawn and len(planned) - len(drawn) >= 10


def test_the_seed_alone_decides() -> None:
    assert schedule(0, 1, 3) == schedule(0, 1, 3) != schedule(0, 2, 3)


def test_kills_of_a_phase_take_turns_over_the_rounds_in_which_it_works() -> None:
    planned = schedule(0, 3, 3)
    rounds = {phase: {s.round for s in planned if s.phase == phase} for phase in POINTS}
    assert rounds["start"] == rounds["probe"] == {0}
    assert rounds["anchor"] == {2, 3}, "in the first round every anchor is the policy that sampled"
    assert rounds["learn"] == rounds["push"] == {1, 2, 3}
    drivers = {s.round for s in planned if s.actor == "driver"}
    assert drivers == {0, 1, 2}, "in the last round nobody makes the run forget whom it saw dying"


def at(
    actor: str, phase: str = "generate", round: int = 1, point: str | None = "shard/generate", skip: int = 0
) -> Strike:
    return Strike(phase, actor, round, point, skip)


def test_a_strike_waits_for_its_point_its_phase_and_its_round() -> None:
    pending = [at("rollout", round=2)]
    for point, phases, round in (
        ("shard/judge", ["generate"], 2),
        ("shard/generate", ["start"], 2),
        ("shard/generate", ["generate"], 1),
    ):
        assert due(pending, point, phases, round, 4) == ([], pending)
    assert due(pending, "shard/generate", ["judge", "generate"], 2, 4) == (pending, [])
    assert due(pending, "shard/generate", ["generate"], 3, 4) == (pending, []), "the next occasion serves as well"


def test_passes_of_the_point_are_counted_down_but_not_in_the_last_round() -> None:
    pending = [at("rollout", skip=2)]
    now, left = due(pending, "shard/generate", ["generate"], 1, 4)
    assert not now and left == [at("rollout", skip=1)]
    now, left = due(pending, "shard/generate", ["generate"], 4, 4)
    assert now == pending and not left


def test_a_driver_dies_alone_and_first() -> None:
    pending = [at("judge", point="phase/kl", phase="kl"), at("driver", point="phase/kl", phase="kl")]
    now, left = due(pending, "phase/kl", ["kl"], 1, 4)
    assert now == pending[1:] and left == pending[:1]


def test_others_die_together_where_a_phase_begins_and_one_by_one_elsewhere() -> None:
    together = [at(actor, phase="kl", point="phase/kl") for actor in ("judge", "learner", "rollout")]
    assert due(together, "phase/kl", ["kl"], 1, 4) == (together, [])
    singly = [at(actor) for actor in ("judge", "learner")]
    assert due(singly, "shard/generate", ["generate"], 1, 4) == (singly[:1], singly[1:])


def test_equal_strikes_are_made_one_at_a_time() -> None:
    pending = [at("rollout"), at("rollout")]
    assert due(pending, "shard/generate", ["generate"], 1, 4) == (pending[:1], pending[1:])


def test_drawn_moments_begin_to_count_one_at_a_time_and_all_in_the_last_round() -> None:
    drawn = [at("rollout", point=None), at("judge", point=None)]
    pending = [at("driver"), *drawn, at("learner", point=None, round=4)]
    assert timed(pending, "generate", 1, 4) == drawn[:1]
    assert timed(pending, "judge", 1, 4) == []
    assert timed(pending, "generate", 4, 4) == pending[1:]


def test_a_missed_moment_becomes_the_beginning_of_its_phase() -> None:
    late = Strike("generate", "rollout", 1, None, 0, 0.5)
    assert missed(late) == at("rollout", point="phase/generate")
    assert missed(Strike("start", "judge", 0, None, 0, 0.5)) == Strike("start", "judge", 0, None, 0, 0.0)
