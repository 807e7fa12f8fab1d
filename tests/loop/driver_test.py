"""The order of a round and its decisions, with fleets that write small shards instead of running engines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loop.cadence import is_due
from loop.errors import Stopped
from loop.ledger import Ledger
from loop.summary import RunSummary, read_summary
from tests.loop import stub_fleets
from tests.loop.stub_fleets import StubFleets


def drive(folder: Path, *overrides: str, **stub: float) -> tuple[RunSummary, StubFleets, str]:
    driven = stub_fleets.drive(folder, *overrides, **stub)
    assert driven.summary is not None
    return driven.summary, driven.fleets, driven.screen


def test_phases_come_in_the_order_of_a_round(tmp_path: Path) -> None:
    _, fleets, _ = drive(tmp_path)
    start = ["generate:evaluate", "score", "meet"]
    first = [
        "generate:train",
        "judge",
        "aggregate",
        "pair",
        "anchor",
        "learn",
        "push:r1-s3",
        "generate:evaluate",
        "score",
        "kl",
        "export",
    ]
    second = [call.replace("push:r1-s3", "push:r2-s6") for call in first]
    assert fleets.calls == [*start, "check", *first, *second]
    assert fleets.appointed == [1, 2]


def test_a_judge_below_a_level_is_not_trusted_and_the_table_says_why(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=r"judge=verifier is not trusted: the judge's accuracy on gold pairs is 0.000"):
        drive(tmp_path, trusted=0.0)
    ledger = Ledger(str(tmp_path / "ledger"))
    assert len(ledger.committed("judge_checks", 1)) == 1 and not ledger.committed("responses", 1)


def test_what_is_not_asked_for_is_not_checked(tmp_path: Path) -> None:
    assert "check" not in drive(tmp_path / "a", "judge.check.prompts=0", trusted=0.0)[1].calls
    form = ["judge.rule=length", "judge.options.max=5"]
    assert "check" not in drive(tmp_path / "c", *form, trusted=0.0)[1].calls
    assert "check" in drive(tmp_path / "b", "judge.check.levels={}", trusted=0.0)[1].calls


def test_a_judge_of_the_schedule_takes_over_and_is_checked_first(tmp_path: Path) -> None:
    later = ["+judge@later_judges.strict=verifier", "later_judges.strict.from_round=2"]
    _, fleets, _ = drive(tmp_path, *later)
    assert fleets.calls.count("check") == 2
    assert fleets.calls.index("push:r1-s3") < len(fleets.calls) - 1 - fleets.calls[::-1].index("check")


def test_every_round_samples_from_the_version_pushed_last_and_from_fresh_prompts(tmp_path: Path) -> None:
    _, fleets, _ = drive(tmp_path)
    train = [r for r in fleets.asked if r.purpose == "train"]
    assert [(r.round, r.policy) for r in train] == [(1, "r0-s0"), (2, "r1-s3")]
    assert sorted(train[0].prompt_ids + train[1].prompt_ids) == ["train0", "train1", "train2", "train3"]


def test_evaluation_sees_the_test_split_only(tmp_path: Path) -> None:
    _, fleets, _ = drive(tmp_path)
    seen = {p for r in fleets.asked if r.purpose == "evaluate" for p in r.prompt_ids}
    assert seen == {"test0", "test1", "test2"}


def test_without_examples_nothing_is_learnt_or_pushed_and_the_run_says_so(tmp_path: Path) -> None:
    summary, fleets, screen = drive(tmp_path, examples=0)
    assert not {"anchor", "learn"} & set(fleets.calls)
    assert not any(call.startswith("push") for call in fleets.calls)
    assert [r.policy for r in summary.rounds] == ["r0-s0", "r0-s0"]
    assert summary.rounds[0].loss is None
    assert "the policy is unchanged" in screen and "the policy is unchanged" in summary.rounds[0].notes[-1]


def test_a_round_of_skipped_steps_leaves_the_version(tmp_path: Path) -> None:
    summary, fleets, _ = drive(tmp_path, steps=0)
    assert "learn" in fleets.calls and not any(call.startswith("push") for call in fleets.calls)
    assert summary.rounds[-1].policy == "r0-s0"


def test_too_many_failed_judgements_stop_the_run_before_it_learns(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=r"judge\.max_failed"):
        drive(tmp_path, failed=4)


def test_cadences_are_separate_and_the_last_round_always_counts(tmp_path: Path) -> None:
    summary, fleets, _ = drive(tmp_path, "rounds=3", "evaluate.every=2", "export.every=3")
    assert [r.gold_score is None for r in summary.rounds] == [True, False, False]
    assert fleets.calls.count("export") == 1
    assert [n for n in range(1, 8) if is_due(3, n, 7)] == [3, 6, 7]


def test_summary_and_ledger_tell_the_same(tmp_path: Path) -> None:
    summary, _, _ = drive(tmp_path)
    assert read_summary(tmp_path).to_json() == summary.to_json()
    assert summary.finished and summary.initial.gold_score == 1.0
    ledger = Ledger(tmp_path / "ledger")
    rows = sorted(ledger.read("rounds").to_pylist(), key=lambda row: row["round"])
    assert [row["round"] for row in rows] == [0, 1, 2]
    assert [json.loads(row["summary"])["gold_score"] for row in rows] == [1.0, 1.0, 1.0]
    assert all(json.loads(row["summary"])["seconds"] == {} for row in rows), "time belongs to telemetry"
    assert set(ledger.read("policies").column("version").to_pylist()) == {"r0-s0", "r1-s3", "r2-s6"}
    assert ledger.read("responses").num_rows == 2 * 2 * 2


def test_a_control_run_says_what_it_is_at_once_and_in_its_summary(tmp_path: Path) -> None:
    summary, _, screen = drive(tmp_path / "control", "algorithm.control=shuffled")
    assert "This is a control run, shuffled" in summary.initial.notes[0]
    assert screen.index("This is a control run") < screen.index("round 0")
    assert not drive(tmp_path / "plain")[0].initial.notes
