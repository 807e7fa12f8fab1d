"""A run that meets a full disk and loses every kind of process, against one that nobody disturbs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.bench.chaos import compared
from actors.bench.chaos_plan import Strike
from actors.bench.chaos_process import RunProcess
from actors.bench.chaos_report import Report
from actors.bench.chaos_run import Disturbed, Disturber
from actors.launch import prepare
from loop.composition import compose
from loop.validation import validate

pytestmark = pytest.mark.engine

SMALL = (
    "experiment=demo",
    "rounds=1",
    "prompts.per_round=32",
    "prompts.held_out=[]",
    "prompts.held_out_size=64",
    "rollout.replicas=1",
    "rollout.shard_prompts=4",
    "rollout.prefix_caching=false",
    "learner.batch_examples=8",
    "checkpoint.steps=1",
    "ledger.min_rows=1",
    "fleet.max_restarts=20",
)
STRIKES = (
    Strike("evaluate", "driver", 0, "commit/after"),
    Strike("generate", "rollout", 1, "shard/generate"),
    Strike("learn", "learner", 1, "learn/step"),
    Strike("learn", "learner", 1, "checkpoint/parts"),
    Strike("push", "driver", 1, "push/begun"),
    Strike("score", "judge", 1, "shard/score"),
)
FULL = {"id": "full", "point": "store/write", "hit": 6, "kind": "fail"}
"""The sixth of the engine's eight shards of answers to the test prompts; no other process writes as much by then."""


def overrides(folder: Path) -> list[str]:
    return [*SMALL, f"folder={folder}"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chaos")


@pytest.fixture(scope="module")
def calm(work: Path) -> Iterator[RunProcess]:
    """The undisturbed run, which goes on beside the other one."""
    process = RunProcess(overrides(work / "calm"), work / "calm.log")
    yield process
    process.end()


@pytest.fixture(scope="module")
def full_disk(work: Path, calm: RunProcess) -> tuple[int | None, str]:
    """Exit status and output of the first start, whose disk is full when a shard of answers is to be written."""
    plan, log = work / "full.jsonl", work / "full.log"
    plan.write_text(json.dumps(FULL) + "\n")
    process = RunProcess(overrides(work / "rough"), log, plan)
    try:
        status = process.wait(300.0)
    finally:
        process.end()
    return status, log.read_text()


@pytest.fixture(scope="module")
def disturbed(work: Path, full_disk: tuple[int | None, str]) -> Disturbed:
    """The same command, given until it is complete, while its processes are killed."""
    told: list[str] = []
    return Disturber(overrides(work / "rough"), work / "rough", 1, STRIKES, {}, 0, work, 300.0, told.append).run()


@pytest.fixture(scope="module")
def report(work: Path, calm: RunProcess, disturbed: Disturbed) -> Report:
    assert calm.wait(300.0) == 0, (work / "calm.log").read_text()
    task = prepare(validate(compose(overrides(work / "rough"))))
    return compared(task, work / "calm", work / "rough", disturbed, 0, {}, {})


def test_a_full_disk_ends_the_run_with_one_sentence_and_status_4(full_disk: tuple[int | None, str]) -> None:
    status, shown = full_disk
    sentences = [line for line in shown.splitlines() if line.startswith("ratchet:")]
    assert status == 4 and len(sentences) == 1, shown
    assert "No space left on device" in sentences[0] and "free space there" in sentences[0]
    assert "/evaluation_responses/" in sentences[0] and "Traceback" not in shown


def test_every_kind_of_process_was_killed_at_its_moment(disturbed: Disturbed) -> None:
    made = sorted((kill.phase, kill.actor, kill.moment) for kill in disturbed.kills)
    assert made == sorted((strike.phase, strike.actor, strike.point) for strike in STRIKES)
    assert all(kill.phase in kill.before for kill in disturbed.kills)
    assert len({kill.pid for kill in disturbed.kills}) == len(STRIKES)


def test_the_run_finishes_with_every_row_once_and_equal_to_the_undisturbed_one(report: Report) -> None:
    assert report.faults == []
    assert report.counts["responses"].rows == 32 * 8 == report.counts["judgements"].rows
    assert len(report.disturbed.starts) == 3, "the driver was killed twice"


def test_telemetry_tells_of_the_death_that_the_last_driver_saw(report: Report) -> None:
    seen = {kill.actor: one for kill, one in zip(report.disturbed.kills, report.noticed, strict=True)}
    assert seen["judge"].how == "told" and seen["judge"].back_s is not None
    assert {one.how for actor, one in seen.items() if actor != "judge"} <= {"driver", "forgotten"}
