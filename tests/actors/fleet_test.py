"""The fleet with real Ray actors that are killed, stopped, added and removed while they work.

Longer than other files so that all of it shares one Ray cluster.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import cloudpickle
from ray.exceptions import RayActorError, RayTaskError

from actors.calls import wait
from actors.fleet import Fleet
from actors.fleet_events import FleetEvent
from actors.supervised import RESTARTABLE
from loop.errors import InfrastructureFailed, ProcessDied, Refused, StoreFailed
from loop.fleet_actor import FleetLimits
from loop.pulse import FleetSnapshot
from tests.actors.stub_workers import Request, Worker, pid_of, work

pytestmark = pytest.mark.engine
cloudpickle.register_pickle_by_value(sys.modules[__name__])

LIMITS = FleetLimits(max_restarts=3, straggler_s=60.0, call_timeout_s=60.0, start_timeout_s=60.0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    folder = tempfile.mkdtemp(prefix="r")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100_000_000,
        _temp_dir=folder,
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start(cluster: None, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts workers, and ends them after the test."""
    started = []

    def start(engine: Any = None, fails: Exception | None = None) -> Any:
        made = ray.remote(Worker).options(num_cpus=0, **RESTARTABLE)
        started.append(made.remote(str(tmp_path / "log"), engine, fails))
        return started[-1]

    yield start
    for worker in started:
        ray.kill(worker)


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[], list[tuple[int, ...]]]:
    """What workers started on: process, shard and seed."""
    return lambda: [tuple(map(int, line.split())) for line in (tmp_path / "log").read_text().splitlines()]


def test_a_killed_actor_is_replaced_brought_up_to_date_and_its_work_repeated(
    start: Callable[..., Any], lines: Callable[[], list[tuple[int, ...]]], tmp_path: Path
) -> None:
    workers, events, refreshed = [start(), start()], [], []
    shown: list[FleetSnapshot] = []

    def refresh(worker: Any) -> bool:
        refreshed.append(len(lines()))
        return wait([worker.load.remote("v1")], 10.0, "refresh") == [None]

    back = tmp_path / "restarted"

    def seen(event: FleetEvent) -> None:
        events.append(event)
        if event.kind == "restarted":
            back.touch()

    fleet: Fleet[Request, Any] = Fleet(
        "generation", workers, LIMITS, version="v0", refresh=refresh, on_event=seen, on_change=shown.append
    )
    fleet.check()
    assert (shown[0].health, shown[-1].health) == ({"starting": 2}, {"healthy": 2})
    wait([worker.load.remote("v1") for worker in workers], 10.0, "push")
    fleet.pushed("v1")
    dying = str(tmp_path / "died")
    # the last requests begin when the killed worker is back, however long that takes
    requests = [
        Request(n, 100 + n, "v1", "die" if n == 3 else "", dying, 0.02, "" if n < 100 else str(back))
        for n in range(150)
    ]
    results = list(fleet.map(work, requests))
    assert sorted(results) == [(n, 100 + n) for n in range(150)]
    assert {(shard, seed) for _, shard, seed in lines()} == {(n, 100 + n) for n in range(150)}
    assert [shard for _, shard, _ in lines()].count(3) == 2
    assert [event.kind for event in events if event.kind != "shard"] == ["died", "restarted"]
    died, restarted = (event for event in events if event.kind != "shard")
    assert died.pid != restarted.pid and died.actor == restarted.actor and restarted.seconds
    # the new process was refreshed once, and started on nothing before
    assert len(refreshed) == 1
    assert all(pid != restarted.pid for pid, _, _ in lines()[: refreshed[0]])
    assert any(pid == restarted.pid for pid, _, _ in lines())
    assert [e.attempt for e in events if e.kind == "shard" and e.shard == 3] == [2]
    assert FleetSnapshot("actor", {"healthy": 2}, working=2, waiting=2) in shown, "each holds two items"
    assert {"healthy": 1, "restarting": 1} in [dict(one.health) for one in shown]
    assert shown[-1] == FleetSnapshot("actor", {"healthy": 2}), "all are well again, and nothing is left to do"


def test_an_actor_that_was_restarted_unseen_is_brought_up_to_date_when_its_call_fails(
    start: Callable[..., Any],
) -> None:
    worker, refreshed, events = start(), [], []

    def refresh(stale: Any) -> bool:
        refreshed.append(stale)
        return wait([stale.load.remote("v1")], 10.0, "refresh") == [None]

    fleet: Fleet[Request, Any] = Fleet(
        "generation", [worker], LIMITS, version="v0", refresh=refresh, on_event=events.append
    )
    fleet.check()
    wait([worker.load.remote("v1")], 10.0, "push")
    fleet.pushed("v1")
    before = pid_of(worker)
    os.kill(before, signal.SIGKILL)
    after = ray.get(worker.__ray_call__.options(max_task_retries=-1).remote(lambda self: os.getpid()))
    assert sorted(fleet.map(work, [Request(n, policy="v1") for n in range(4)])) == [(n, 0) for n in range(4)]
    assert refreshed == [worker]
    assert [(e.kind, e.pid) for e in events if e.kind != "shard"] == [("died", before), ("restarted", after)]


def test_a_hung_actor_loses_its_work_to_others_and_is_restarted(start: Callable[..., Any], tmp_path: Path) -> None:
    events: list[FleetEvent] = []
    limits = FleetLimits(max_restarts=1, straggler_s=0.5, call_timeout_s=2.0, start_timeout_s=60.0)
    fleet: Fleet[Request, Any] = Fleet("generation", [start(), start()], limits, on_event=events.append)
    fleet.check()
    mark = str(tmp_path / "stopped")
    results = list(fleet.map(work, [Request(n, act="stop" if n == 2 else "", mark=mark) for n in range(10)]))
    assert sorted(shard for shard, _ in results) == list(range(10))
    assert [(e.kind, e.shard) for e in events if e.kind != "shard"] == [("straggler", 2)]
    assert len(fleet.serving()) == 1
    fleet.check()
    assert [e.kind for e in events if e.kind != "shard"] == ["straggler", "died", "restarted"]
    assert events[-2].detail == "it was silent for 2 s"
    assert len(fleet.serving()) == 2


def test_answers_that_nobody_has_looked_at_are_not_late(start: Callable[..., Any]) -> None:
    events: list[FleetEvent] = []
    limits = FleetLimits(max_restarts=0, straggler_s=0.5, call_timeout_s=1.0, start_timeout_s=60.0)
    fleet: Fleet[Request, Any] = Fleet("generation", [start(), start()], limits, on_event=events.append)
    fleet.check()
    results = []
    for result in fleet.map(work, [Request(n) for n in range(8)]):
        results.append(result)
        if len(results) == 1:
            time.sleep(1.5)
    assert len(results) == 8
    assert {event.kind for event in events} == {"shard"}


def test_actors_come_and_go_while_the_fleet_works(
    start: Callable[..., Any], lines: Callable[[], list[tuple[int, ...]]]
) -> None:
    first, second = start(), start()
    fleet: Fleet[Request, Any] = Fleet("generation", [first], LIMITS)
    fleet.check()
    first_pid, results = pid_of(first), []
    for result in fleet.map(work, (Request(n, seconds=0.02) for n in range(150))):
        results.append(result)
        if len(results) == 5:
            fleet.add(second)
        if len(results) == 100:
            fleet.remove(first)
            given = len(lines())
    assert sorted(shard for shard, _ in results) == list(range(150))
    assert fleet.handles == [second]
    fleet.remove(first)
    assert fleet.handles == [second]
    assert pid_of(second) in {pid for pid, _, _ in lines()}
    # what it held, two items at most, was finished, and nothing was added
    assert [pid for pid, _, _ in lines()[given:]].count(first_pid) <= 2
    with pytest.raises(RayActorError):
        ray.get(first.version.remote())


def test_when_restarts_are_exhausted_the_others_go_on_until_none_is_left(start: Callable[..., Any]) -> None:
    limits = FleetLimits(max_restarts=0, straggler_s=60.0, call_timeout_s=60.0, start_timeout_s=60.0)
    workers, alone = [start(), start()], 0
    fleet: Fleet[Request, Any] = Fleet("generation", workers, limits, noun="engine")
    fleet.check()
    pids = [pid_of(worker) for worker in workers]
    with pytest.raises(
        InfrastructureFailed,
        match=r"^generation: engine \d died once, the last time because: .*; engine \d died once",
    ):
        for shard, _ in fleet.map(work, (Request(n, seconds=0.02) for n in range(10**6))):
            alone += fleet.handles == workers[1:]
            if shard == 10 or alone == 10:
                os.kill(pids[shard != 10], signal.SIGKILL)
    assert alone >= 10


def test_the_last_actor_s_end_is_told(start: Callable[..., Any]) -> None:
    limits = FleetLimits(max_restarts=0, straggler_s=60.0, call_timeout_s=60.0, start_timeout_s=60.0)
    worker = start()
    fleet: Fleet[Request, Any] = Fleet("generation", [worker], limits, noun="engine")
    fleet.check()
    os.kill(pid_of(worker), signal.SIGKILL)
    with pytest.raises(InfrastructureFailed, match=r"^generation: engine 0 died once, the last time because: found"):
        fleet.check()
    assert fleet.handles == []


def test_an_item_that_kills_whoever_takes_it_ends_the_work(start: Callable[..., Any]) -> None:
    limits = FleetLimits(max_restarts=0, straggler_s=60.0, call_timeout_s=60.0, start_timeout_s=60.0)
    fleet: Fleet[Request, Any] = Fleet("generation", [start(), start(), start()], limits)
    with pytest.raises(InfrastructureFailed, match=r"^generation: shard 7 failed 2 times, the last time because: "):
        list(fleet.map(work, [Request(7, act="always die")]))
    assert len(fleet.serving()) == 1


def test_a_call_that_fails_because_an_engine_died_is_repeated_when_the_engine_is_well(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    engine = start()
    judge = start(engine)

    def refresh(worker: Any) -> bool:
        return wait([worker.load.remote("v1")], 10.0, "refresh") == [None]

    engine_events: list[FleetEvent] = []
    judge_events: list[FleetEvent] = []
    engines: Fleet[Request, Any] = Fleet(
        "generation", [engine], LIMITS, version="v1", refresh=refresh, on_event=engine_events.append
    )
    judges: Fleet[Request, Any] = Fleet("judging", [judge], LIMITS, depends_on=engines, on_event=judge_events.append)
    requests = [Request(n, policy="v1", act="die" if n == 1 else "", mark=str(tmp_path / "died")) for n in range(6)]
    results = list(judges.map(lambda worker, request: worker.judge.remote(request), requests))
    assert sorted(shard for shard, _ in results) == list(range(6))
    assert [event.kind for event in engine_events] == ["died", "restarted"]
    assert {event.kind for event in judge_events} == {"shard"}


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(StoreFailed("no space"), StoreFailed), (Refused("no prompt"), Refused), (ValueError("a bug"), RayTaskError)],
)
def test_what_a_repetition_does_not_mend_is_raised_at_once(
    start: Callable[..., Any], raised: Exception, expected: type[Exception]
) -> None:
    fleet: Fleet[Exception, Any] = Fleet("generation", [start()], LIMITS)
    with pytest.raises(expected, match=str(raised)):
        list(fleet.map(lambda worker, error: worker.fail.remote(error), [raised]))


@pytest.mark.parametrize("raised", [Refused("judge.model=x is no classifier."), StoreFailed("no space: left.")])
def test_what_keeps_an_actor_from_being_made_is_raised_as_it_is_and_nobody_is_said_to_have_died(
    start: Callable[..., Any], raised: Exception
) -> None:
    events: list[FleetEvent] = []
    for do in (lambda fleet: list(fleet.map(work, [Request(0)])), lambda fleet: fleet.check()):
        fleet: Fleet[Request, Any] = Fleet("judging", [start(fails=raised)], LIMITS, on_event=events.append)
        with pytest.raises(type(raised), match=f"^{raised}$"):
            do(fleet)
    assert events == []


def test_an_actor_that_a_machine_kept_from_being_made_is_lost_and_the_others_go_on(start: Callable[..., Any]) -> None:
    events: list[FleetEvent] = []
    failing = start(fails=InfrastructureFailed("vLLM lacks memory."))
    fleet: Fleet[Request, Any] = Fleet("judging", [failing, start()], LIMITS, noun="judge", on_event=events.append)
    fleet.check()
    assert list(fleet.map(work, [Request(0)])) == [(0, 0)]
    assert [(event.actor, event.detail) for event in events if event.kind == "died"] == [
        ("judging-0", "vLLM lacks memory")
    ]
    alone: Fleet[Request, Any] = Fleet("judging", [failing], LIMITS, noun="judge")
    told = "^judging: judge 0 died once, the last time because: vLLM lacks memory[.]$"
    with pytest.raises(InfrastructureFailed, match=told):
        alone.check()


def test_infrastructure_that_keeps_failing_is_told_with_its_reason(start: Callable[..., Any]) -> None:
    fleet: Fleet[Exception, Any] = Fleet("judging", [start()], LIMITS)
    with pytest.raises(
        InfrastructureFailed, match=r"^judging: an item failed 5 times, .* because: a server is away[.]$"
    ):
        list(fleet.map(lambda worker, error: worker.fail.remote(error), [ProcessDied("a server is away.")]))


def test_one_map_may_feed_another_of_the_same_fleet_and_no_more_is_taken_than_fits(start: Callable[..., Any]) -> None:
    fleet: Fleet[Request, Any] = Fleet("judging", [start(), start()], LIMITS)
    taken = []

    def source() -> Iterator[Request]:
        for n in range(100):
            taken.append(n)
            yield Request(n)

    first = (Request(shard, seed=1) for shard, _ in fleet.map(work, source()))
    results = []
    for result in fleet.map(work, first):
        results.append(result)
        # in flight, and answers of the first map that the second one has not taken: at most four of each
        assert len(taken) <= len(results) + 9
    assert sorted(results) == [(n, 1) for n in range(100)]


def test_a_map_that_is_given_up_leaves_a_fleet_that_works(start: Callable[..., Any]) -> None:
    fleet: Fleet[Request, Any] = Fleet("generation", [start()], LIMITS)
    given_up = fleet.map(work, (Request(n, seconds=0.05) for n in range(9)))
    next(given_up)
    given_up.close()
    assert sorted(fleet.map(work, [Request(n) for n in range(20, 24)])) == [(n, 0) for n in range(20, 24)]


def test_after_a_push_only_those_that_got_it_serve_and_the_rest_are_refreshed(start: Callable[..., Any]) -> None:
    workers, refreshed = [start(), start()], []

    def refresh(worker: Any) -> bool:
        refreshed.append(worker)
        return wait([worker.load.remote("v1")], 10.0, "refresh") == [None]

    fleet: Fleet[Request, Any] = Fleet("generation", workers, LIMITS, version="v0", refresh=refresh)
    assert fleet.serving() == [] and fleet.alive() == []
    fleet.check(refresh=False)
    assert fleet.serving() == fleet.alive() == workers
    os.kill(pid_of(workers[1]), signal.SIGKILL)
    ray.get(workers[0].load.remote("v1"))
    fleet.pushed("v1", [workers[1]])
    assert fleet.serving() == [workers[0]]
    fleet.check(refresh=False)
    assert fleet.serving() == [workers[0]] and fleet.alive() == workers and refreshed == []
    fleet.check()
    assert fleet.serving() == workers and refreshed == [workers[1]]
