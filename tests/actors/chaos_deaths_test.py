from __future__ import annotations

from actors.bench.chaos_deaths import noticed, unexplained
from actors.bench.chaos_run import Kill
from loop.records import Telemetry

ROUNDS = 3


def kill(actor: str, pid: int, at: float, round: int = 1, phase: str = "generate") -> Kill:
    return Kill(actor, pid, at, round, phase, "random", [phase], f"running: {phase}", goes_on_s=7.0)


def told(event: str, actor: str, at: float, pid: int | None = None, round: int = 1) -> Telemetry:
    return Telemetry(round, "generate", event, at, actor=actor, pid=pid, detail="why")


def test_a_death_goes_with_its_kill_by_process_and_the_return_by_actor() -> None:
    kills = [kill("rollout", 11, 100.0), kill("rollout", 12, 101.0)]
    rows = [
        told("died", "generation-1", 101.2, 12),
        told("died", "generation-0", 100.2, 11),
        told("restarted", "generation-1", 120.0, 22),
        told("restarted", "generation-0", 130.0, 21),
    ]
    assert [(one.how, one.back_s) for one in noticed(kills, rows, ROUNDS)] == [("told", 30.0), ("told", 19.0)]
    assert not unexplained(kills, rows)


def test_a_death_of_a_process_that_nobody_killed_is_unexplained() -> None:
    (sentence,) = unexplained([kill("rollout", 11, 100.0)], [told("died", "judging-0", 100.2, 99)])
    assert sentence == "judging-0 (process 99) in round 1: why"


def test_ranks_die_together_and_each_death_of_theirs_needs_a_kill() -> None:
    kills = [kill("learner", 31, 100.0), kill("learner", 32, 100.1), kill("learner", 33, 200.0)]
    rows = [told("died", "learners", 100.3), told("restarted", "learners", 110.0), told("died", "learners", 200.3)]
    assert [(one.how, one.back_s is None) for one in noticed(kills, rows, ROUNDS)] == [
        ("told", False),
        ("told", False),
        ("told", True),
    ]
    assert not unexplained(kills, rows)
    assert unexplained(kills, [*rows, told("died", "learners", 250.0)]) == ["learners in round 1: why"]
    assert unexplained(kills[:2], rows) == ["learners in round 1: why"]


def test_what_a_driver_knew_dies_with_it() -> None:
    driver = kill("driver", 1, 150.0, round=2)
    assert [one.how for one in noticed([kill("judge", 41, 100.0), driver], [], ROUNDS)] == ["forgotten", "driver"]
    later = kill("driver", 1, 150.0, round=3)
    assert noticed([kill("judge", 41, 100.0), later], [], ROUNDS)[0].how == "unnoticed"


def test_a_driver_is_back_when_its_run_goes_on() -> None:
    assert noticed([kill("driver", 1, 150.0)], [], ROUNDS)[0].back_s == 7.0


def test_a_kill_that_nobody_tells_of_is_told_unless_the_run_ends_with_it() -> None:
    assert noticed([kill("judge", 41, 100.0, round=2)], [], ROUNDS)[0].how == "unnoticed"
    assert noticed([kill("judge", 41, 100.0, round=3)], [], ROUNDS)[0].how == "unneeded"


def test_a_successor_that_dies_before_it_answered_is_told_with_its_predecessor() -> None:
    kills = [
        kill("rollout", 11, 100.0),
        kill("rollout", 12, 110.0),
        kill("judge", 13, 111.0),
        kill("rollout", 14, 131.0),
    ]
    rows = [told("died", "generation-0", 100.2, 11), told("restarted", "generation-0", 130.0, 15)]
    assert [one.how for one in noticed(kills, rows, ROUNDS)] == ["told", "starting", "unnoticed", "unnoticed"]


def test_a_return_after_the_next_driver_s_start_does_not_count() -> None:
    kills = [kill("judge", 41, 100.0), kill("driver", 1, 150.0)]
    rows = [told("died", "judging-0", 100.1, 41), told("restarted", "judging-0", 160.0, 42)]
    assert noticed(kills, rows, ROUNDS)[0].back_s is None
