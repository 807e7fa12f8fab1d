from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from loop.checkpoints import MARKER, Marker, Part
from loop.errors import Refused
from loop.finding import find_run, store_of
from loop.inspecting import LearnerCheckpoint, inspect_run, state_of
from loop.learning import Progress, StepOutcome
from loop.lock import lock_holder
from loop.provenance import inspect_example
from loop.query import query
from loop.status import Status, write_status
from loop.summary import RoundSummary, RunSummary, write_summary
from tests.loop.run_folders import IDENTITY, SUMMARIES, answer, begun, ran


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two closed rounds and one under way; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "demo-dpo-verifier-1234abcd"
    ran(folder, parent="feedfeed@r3-s24")
    return folder


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(f.relative_to(folder)): (f.stat().st_mtime_ns, f.stat().st_size) for f in folder.rglob("*")}


def phases(folder: Path) -> dict[str, tuple[str, tuple[int, ...], int | None]]:
    (open_round,) = [one for one in inspect_run(folder).rounds if one.summary is None]
    return {one.phase: (one.state, one.shards, one.of) for one in open_round.phases}


def summary_of(folder: Path, **changes: object) -> RunSummary:
    blank = RunSummary(
        folder.name, IDENTITY, "demo", "dpo", "verifier", "tiny", 0, False, SUMMARIES[0], [], 1.0, prompts={"test": 3}
    )
    return dataclasses.replace(blank, **changes)  # type: ignore[arg-type]


def test_a_run_tells_its_rounds(run: Path) -> None:
    told = inspect_run(run)
    assert (told.run, told.identity, told.rounds_planned) == (run.name, IDENTITY, 3)
    assert [(one.round, one.state) for one in told.rounds] == [(0, "complete"), (1, "complete"), (2, "under way")]
    assert [one.summary for one in told.rounds] == [*SUMMARIES, None]
    assert (told.algorithm, told.judge, told.model, told.seed) == ("iterative_dpo_nll", "verifier", "tiny", 0)
    json.dumps(dataclasses.asdict(told))


def test_a_run_tells_which_shards_of_the_open_round_are_there(tmp_path: Path) -> None:
    rows = ran(tmp_path / "run")
    assert phases(tmp_path / "run")["generate"] == ("under way", (0,), 2)
    rows.add("responses", 2, [answer("e" * 32, 0, "x")], shard=1)
    told = phases(tmp_path / "run")
    assert told["generate"] == ("complete", (0, 1), 2)
    assert told["judge"] == ("under way", (0,), 2)
    assert [told[name][0] for name in ("anchor", "learn", "push", "evaluate", "export")] == ["not begun"] * 5


def test_a_run_tells_what_befell_its_actors(run: Path) -> None:
    told = inspect_run(run)
    assert told.events == {"died": 2, "restarted": 1}
    assert [one.events for one in told.rounds] == [{}, {"died": 1, "restarted": 1}, {"died": 1}]
    assert [(one.event, one.actor, one.detail) for one in told.happenings] == [
        ("died", "generation-0", "killed by signal 9"),
        ("restarted", "generation-0", None),
        ("died", "judge-1", None),
    ]


def test_a_run_that_has_not_begun_has_round_0_before_it(tmp_path: Path) -> None:
    told = inspect_run(begun(tmp_path / "run"))
    assert told.state == "not begun"
    assert [(one.round, one.state) for one in told.rounds] == [(0, "not begun")]
    assert [phase.phase for phase in told.rounds[0].phases] == ["evaluate", "score", "probe", "diagnose"]


def test_a_finished_run_has_no_open_round(tmp_path: Path) -> None:
    ran(tmp_path / "run", "rounds=1")
    write_summary(tmp_path / "run", summary_of(tmp_path / "run", finished=True))
    told = inspect_run(tmp_path / "run")
    assert told.state == "finished" and [one.round for one in told.rounds] == [0, 1]


def test_what_a_living_driver_does_is_under_way(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ran(folder)
    write_status(folder, Status.now(1, 2, ["learn"]))
    told = phases(folder)
    assert told["anchor"][0] == "complete" and told["learn"][0] == "under way" and told["push"][0] == "not begun"
    write_status(folder, Status(2**22 + 1, 1, 2, ["learn"], time.time(), "running"))
    assert inspect_run(folder).state == "died"
    assert phases(folder)["learn"][0] == "not begun", "nobody learns any more"


def test_times_come_from_the_summary_and_the_rest_from_the_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ran(folder)
    timed = dataclasses.replace(SUMMARIES[1], seconds={"round": 7.0})
    write_summary(folder, summary_of(folder, rounds=[timed], stopped_because="the judge failed"))
    told = inspect_run(folder)
    assert told.rounds[1].summary == timed and told.stopped_because == "the judge failed"
    behind = summary_of(folder, initial=RoundSummary(0, ""), rounds=[])  # it is written after the ledger
    write_summary(folder, behind)
    assert [one.summary for one in inspect_run(folder).rounds] == [*SUMMARIES, None]


def test_a_run_tells_its_exports_and_learner_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ran(folder)
    export = folder / "checkpoints" / "round-001"
    export.mkdir(parents=True)
    (export / "model.safetensors").write_bytes(b"x" * 1000)
    steps = (StepOutcome(8, (1.0,), 90, 0.5, (), 0.1),) * 2
    marker = Marker(IDENTITY, 2, 2, "float32", Progress(2, "l", 4, steps), (Part("a", 30, ""), Part("b", 12, "")))
    for name in (marker.name, "round-000002-step-000003"):  # the second one was cut short
        (folder / "learner" / name).mkdir(parents=True)
    (folder / "learner" / marker.name / MARKER).write_text(marker.to_json())
    told = inspect_run(folder)
    assert [(one.round, one.bytes) for one in told.exports] == [(1, 1000)]
    assert told.checkpoints == (LearnerCheckpoint(marker.name, 2, 2, 4, 42),)


def test_looking_writes_nothing(tmp_path: Path) -> None:
    folder = begun(tmp_path / "empty")
    before = files(folder)
    inspect_run(folder)
    query(folder, "select * from responses")
    assert files(folder) == before, "not even tables that are not there yet"
    ran(tmp_path / "run")
    before = files(tmp_path / "run")
    inspect_run(tmp_path / "run")
    inspect_example(tmp_path / "run", "e10")
    query(tmp_path / "run", "select * from responses")
    assert files(tmp_path / "run") == before


def test_the_holder_of_the_lock_is_seen_without_touching_it(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    assert lock_holder(lock) is None
    with open(lock, "w") as handle, open(tmp_path / "other.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert lock_holder(lock) is None
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not Path("/proc/locks").exists():
            pytest.skip("this system does not tell who holds a lock")
        assert lock_holder(lock) == os.getpid()


def test_a_new_driver_that_has_said_nothing_yet_is_starting() -> None:
    died = Status(1, 1, 2, [], 0.0, "died")
    assert state_of(died, 4242, None) == "starting"
    assert state_of(died, None, None) == "died"
    assert state_of(None, 4242, None) == "starting"
    assert state_of(None, None, None) == "not begun"
    assert state_of(dataclasses.replace(died, state="running"), 4242, None) == "running"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no run\.json"):
        inspect_run(tmp_path)


def test_a_run_is_found_by_path_name_and_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("demo-a-11", "demo-a-11.2", "demo-b-22"):
        begun(tmp_path / "runs" / name)
    (tmp_path / "runs" / "demo-c").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_run("runs/demo-b-22") == tmp_path / "runs" / "demo-b-22"
    assert find_run("demo-b") == tmp_path / "runs" / "demo-b-22"
    assert find_run("demo-a-11") == tmp_path / "runs" / "demo-a-11", "a whole name is no beginning"
    with pytest.raises(Refused, match=r"3 runs under runs begin with demo: .*demo-a-11\.2.*write more"):
        find_run("demo")
    with pytest.raises(Refused, match=r"no run other: .*there are demo-"):
        find_run("other")
    with pytest.raises(Refused, match="is not the folder of a run"):
        find_run("runs/demo-c")
    with pytest.raises(Refused, match="there is none"):
        find_run("demo", runs="nowhere")


def test_the_store_is_below_the_folder_unless_the_mark_says_otherwise(tmp_path: Path) -> None:
    elsewhere = begun(tmp_path / "a", store="s3://bucket/a")
    assert store_of(elsewhere) == "s3://bucket/a"
    moved = begun(tmp_path / "b", store="/where/it/was/ledger")
    (moved / "ledger").mkdir()
    assert store_of(moved) == str(moved / "ledger")
    assert store_of(begun(tmp_path / "c")) == str(tmp_path / "c" / "ledger")


def test_an_example_leads_back_to_everything_behind_it(run: Path) -> None:
    told = inspect_example(run, "e10")
    assert (told.example_id, told.strength, told.margin, told.weight) == ("e1" + "0" * 30, 0.9, 1.5, 1.0)
    assert [turn["content"] for turn in told.prompt.turns] == ["Be brief.", "2 + 2?"]
    assert told.prompt.answer == "4"
    chosen, rejected = told.responses
    assert (chosen.role, chosen.text, chosen.policy, chosen.policy_digest) == (
        "chosen",
        "four",
        "r1-s4",
        "digest of r1",
    )
    assert (rejected.role, rejected.k, rejected.seed, rejected.finish_reason) == ("rejected", 1, 7, "end")
    assert chosen.logprob == -2.5 and chosen.tokens == 5
    assert [(one.judgement_id, one.shown, one.value) for one in told.judgements] == [
        ("j1", ("chosen", "rejected"), 0.9),
        ("j0", ("rejected", "chosen"), None),
        ("j2", ("c" * 32, "chosen"), 0.5),
    ]
    assert [(one.version, one.parent) for one in told.policies] == [("r0-s0", "feedfeed@r3-s24"), ("r1-s4", None)]


def test_the_other_example_of_the_same_answers_has_its_own_sides(run: Path) -> None:
    told = inspect_example(run, "e1" + "1" * 30)
    assert [one.text for one in told.responses] == ["fi\x1b[2Jve\nor six", "four"]


def test_a_list_leads_back_to_its_labelled_items(run: Path) -> None:
    told = inspect_example(run, "e2")
    assert [(one.role, one.label, one.text) for one in told.responses] == [
        ("item", 0.75, "four"),
        ("item", 0.25, "fi\x1b[2Jve\nor six"),
    ]
    assert [(one.judgement_id, one.shown) for one in told.judgements] == [
        ("j1", ("a" * 32, "b" * 32)),
        ("j0", ("b" * 32, "a" * 32)),
        ("j2", ("c" * 32, "a" * 32)),
    ], "no item has a role of its own, so ids tell them apart"


def test_an_example_that_cannot_be_told_is_refused(run: Path) -> None:
    with pytest.raises(Refused, match=r"2 examples of .* begin with 'e1': e10+, e11+; write more"):
        inspect_example(run, "e1")
    with pytest.raises(Refused, match=r"no example of .* begins with 'zz'.*--sql"):
        inspect_example(run, "zz")


def test_a_query_sees_every_table(run: Path) -> None:
    sql = "select p.version, count(*) as n from responses r join policies p on p.version = r.policy group by all"
    assert query(run, sql).to_pylist() == [{"version": "r1-s4", "n": 2}]
    tables = query(run, "select view_name from duckdb_views() where not internal order by all").column(0).to_pylist()
    assert {"responses", "evaluation_responses", "telemetry", "anchors", "prompts"} <= set(tables)
    assert query(run, "select * from anchors").num_rows == 0
    assert query(run, "describe examples").num_rows == 11


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("selec 1", "Parser Error"),
        ("select * from nothing", "nothing does not exist"),
        ("select * from '/etc/passwd'", "does not exist"),
        ("select * from read_text('/etc/passwd')", "disabled by configuration"),
        ("copy responses to '/tmp/stolen.csv'", "one SELECT"),
        ("drop view responses", "one SELECT"),
        ("select 1; select 2", "one SELECT"),
        ("", "one SELECT"),
        ("set enable_external_access = true", "one SELECT"),
        ("select * from sql", "does not exist"),
    ],
)
def test_a_query_can_only_read_the_ledger(run: Path, sql: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        query(run, sql)
    assert "\n" not in str(refused.value)
