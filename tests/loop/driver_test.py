"""The order of a round and its decisions, with fleets that write small shards instead of running engines."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from loop.book import Book
from loop.composition import compose
from loop.describe import blank_summary
from loop.driver import is_due, run
from loop.errors import Stopped
from loop.fleets import Pushed
from loop.learning import LearnReport
from loop.ledger import Ledger
from loop.prompts.pool import PoolCounts, PromptPool
from loop.records import Example, Judgement, PolicyVersion, Prompt, Response, ShardRef
from loop.sampling import GenerateRequest
from loop.shards import read_shard, write_shard
from loop.summary import RunSummary, read_summary
from loop.task import Task
from loop.tracker import NullTracker
from loop.view import open_view
from tests.loop.factories import judgement, response


def prompts(name: str, n: int) -> list[Prompt]:
    return [Prompt(f"{name}{i}", '[{"content":"q","role":"user"}]', [1, 2], "a", name) for i in range(n)]


class StubFleets:
    """Does nothing, but writes what the driver expects, and remembers the order of calls."""

    def __init__(self, store: Path, examples: int = 1, failed: int = 0, steps: int = 3) -> None:
        self.store = store
        self.examples = examples
        self.failed = failed
        self.steps = steps
        self.calls: list[str] = []
        self.asked: list[GenerateRequest] = []

    def meet(self) -> float:
        self.calls.append("meet")
        return 1e-7

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[ShardRef]:
        for request in requests:
            self.calls.append(f"generate:{request.purpose}")
            self.asked.append(request)
            rows = [response(k, prompt_id=p, id=f"{p}-{k}") for p in request.prompt_ids for k in range(request.k)]
            stats = {
                "prompts": len(request.prompt_ids),
                "tokens": 2.0 * len(rows),
                "truncated": 0,
                "logprob": -1.0 * len(rows),
            }
            yield write_shard(self.store, request.table, request.round, request.shard, rows, Response, stats)

    def judge(self, responses: Iterable[ShardRef], evaluation: bool = False) -> Iterator[ShardRef]:
        for ref in responses:
            self.calls.append("score" if evaluation else "judge")
            rows = [judgement([r.response_id], float(r.k == 0)) for r in read_shard(ref, Response)]
            stats = {
                "failed": 0 if evaluation else self.failed,
                "undecided": 0,
                "value": sum(r.value or 0 for r in rows),
            }
            table = "evaluation_judgements" if evaluation else "judgements"
            yield write_shard(self.store, table, ref.round, ref.shard, rows, Judgement, stats)

    def pair(self, responses: Sequence[ShardRef], judgements: Sequence[ShardRef]) -> Iterator[ShardRef]:
        for ref in responses:
            self.calls.append("pair")
            ids = [r.response_id for r in read_shard(ref, Response)]
            rows = [Example(f"e{i}", ref.round, "train0", ids[0], ids[1], 1.0, 1.0, 1.0) for i in range(self.examples)]
            stats = {"groups": 2, "ties": 2 - self.examples, "unusable": 0}
            yield write_shard(self.store, "examples", ref.round, ref.shard, rows, Example, stats)

    def anchor(self, round: int, examples: Sequence[ShardRef], responses: Sequence[ShardRef]) -> Iterator[ShardRef]:
        self.calls.append("anchor")
        return iter(())

    def initial_log_probs(self, round: int, responses: Sequence[ShardRef]) -> Iterator[ShardRef]:
        self.calls.append("kl")
        return iter(())

    def learn(
        self, round: int, examples: Sequence[ShardRef], responses: Sequence[ShardRef], anchors: Sequence[ShardRef]
    ) -> LearnReport:
        self.calls.append("learn")
        return LearnReport(steps=self.steps, loss=0.5, terms={"margin": 1.0, "accuracy": 0.75})

    def push(self, version: PolicyVersion) -> Pushed:
        self.calls.append(f"push:{version}")
        return Pushed("{}", "digest", 1e-6)

    def export(self, version: PolicyVersion, folder: Path) -> None:
        self.calls.append("export")


def drive(folder: Path, *overrides: str, **stub: int) -> tuple[RunSummary, StubFleets, str]:
    config = compose(["experiment=demo", "rounds=2", "prompts.per_round=2", "algorithm.k=2", *overrides])
    pool = PromptPool(
        {"train": prompts("train", 4)},
        {"train": 1.0},
        prompts("gate", 1),
        prompts("test", 3),
        PoolCounts(8, 0, 0, 0, 4, 1, 3),
    )
    task = Task(config, "i" * 32, folder, pool)
    fleets = StubFleets(task.store, **stub)
    ledger = Ledger(task.store)
    ledger.append("prompts", 0, pool.everything)
    screen = io.StringIO()
    view = open_view(screen, {})
    book = Book(folder, blank_summary(task), ledger, view, NullTracker(), lambda: 1.0, 0.0, 2)
    return run(task, fleets, book), fleets, screen.getvalue()


def test_phases_come_in_the_order_of_a_round(tmp_path: Path) -> None:
    _, fleets, _ = drive(tmp_path)
    start = ["generate:evaluate", "score", "meet"]
    first = [
        "generate:train",
        "judge",
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
    assert fleets.calls == start + first + second


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
    assert "the policy is unchanged" in screen and "the policy is unchanged" in summary.rounds[0].notes[0]


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
    assert set(ledger.read("policies").column("version").to_pylist()) == {"r1-s3", "r2-s6"}
    assert ledger.read("responses").num_rows == 2 * 2 * 2
