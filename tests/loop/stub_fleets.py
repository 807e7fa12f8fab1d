"""Fleets that write small shards instead of running engines, and a run that is driven with them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loop.book import Book
from loop.composition import compose
from loop.describe import blank_summary
from loop.driver import run
from loop.fleets import Judged, Lesson, Pushed
from loop.learning import LearnReport, Restored
from loop.ledger import Ledger
from loop.prompts.pool import PoolCounts, PromptPool
from loop.records import (
    AnchorLogProbs,
    CheckRow,
    Example,
    Judgement,
    PolicyVersion,
    Prompt,
    Response,
    ShardRef,
    VerdictRow,
)
from loop.sampling import GenerateRequest
from loop.shards import read_shard, write_shard
from loop.summary import RunSummary
from loop.task import Task
from loop.tracker import NullTracker, Tracker
from loop.view import open_view
from tests.loop.factories import judgement, pair_example, response


def prompts(name: str, n: int) -> list[Prompt]:
    """Prompts of a source."""
    return [Prompt(f"{name}{i}", '[{"content":"q","role":"user"}]', [1, 2], "a", name) for i in range(n)]


class Killed(BaseException):
    """The process ends here, without a word to anybody."""


class StubFleets:
    """Does nothing, but writes what the driver expects, and remembers the order of calls.

    `dies_at` calls later it is killed; in round `skips_in` no optimiser step is applied; with `other_weights` what it
    pushes has another digest; `trusted` is the probability that the judge gives to the better text of its check. What
    it holds of a policy is in a file beside the store, as a learner's checkpoint would be: every learn phase ends with
    one.
    """

    def __init__(
        self,
        store: str,
        examples: int = 1,
        failed: int = 0,
        steps: int = 3,
        dies_at: int = -1,
        skips_in: int = -1,
        other_weights: int = 0,
        trusted: float = 1.0,
    ) -> None:
        self.store = store
        self.examples = examples
        self.failed = failed
        self.steps = steps
        self.dies_at = dies_at
        self.skips_in = skips_in
        self.other_weights = other_weights
        self.trusted = trusted
        self.appointed: list[int] = []
        self.calls: list[str] = []
        self.asked: list[GenerateRequest] = []
        self.lessons: list[Lesson] = []
        self.holds_round = 0
        self.serves = "r0-s0"

    def called(self, name: str) -> None:
        """Remember a call, or die in it."""
        if len(self.calls) == self.dies_at:
            raise Killed(name)
        self.calls.append(name)

    @property
    def checkpoint(self) -> Path:
        return Path(self.store).parent / "learner.json"

    def meet(self) -> float:
        self.called("meet")
        return 1e-7

    def restore(self) -> Restored:
        self.called("restore")
        self.holds_round = json.loads(self.checkpoint.read_text()) if self.checkpoint.exists() else 0
        return Restored(self.holds_round, True, ())

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[ShardRef]:
        for request in requests:
            self.called(f"generate:{request.purpose}")
            assert request.policy == self.serves, "engines are asked for what they hold"
            self.asked.append(request)
            rows = [
                replace(response(k, prompt_id=p, id=f"{request.round}-{p}-{k}"), round=request.round)
                for p in request.prompt_ids
                for k in range(request.k)
            ]
            stats = {
                "prompts": len(request.prompt_ids),
                "tokens": 2.0 * len(rows),
                "truncated": 0,
                "logprob": -1.0 * len(rows),
            }
            yield write_shard(self.store, request.table, request.round, request.shard, rows, Response, stats)

    def appoint(self, round: int) -> None:
        self.appointed.append(round)

    def check(self, round: int) -> ShardRef:
        self.called("check")
        turn = [self.trusted, 1.0 - self.trusted]
        rows = [
            CheckRow(round, at, "gold", "[]", "x", "y", at, "!", "decided", value, f"judge of {round}")
            for at, value in enumerate(turn)
        ]
        return write_shard(self.store, "judge_checks", round, 0, rows, CheckRow)

    def judge(self, responses: Iterable[ShardRef], evaluation: bool = False) -> Iterator[ShardRef]:
        for ref in responses:
            self.called("score" if evaluation else "judge")
            rows = [
                replace(judgement([r.response_id], float(r.k == 0)), round=ref.round) for r in read_shard(ref, Response)
            ]
            stats = {
                "failed": 0 if evaluation else self.failed,
                "undecided": 0,
                "value": sum(r.value or 0 for r in rows),
            }
            table = "evaluation_judgements" if evaluation else "judgements"
            yield write_shard(self.store, table, ref.round, ref.shard, rows, Judgement, stats)

    def aggregate(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        for one in judged:
            self.called("aggregate")
            rows = [
                VerdictRow(j.round, j.prompt_id, j.response_ids[0], None, j.value)
                for j in read_shard(one.said, Judgement)
            ]
            yield write_shard(self.store, "verdicts", one.said.round, one.shard, rows, VerdictRow, {"holes": 0})

    def pair(self, judged: Iterable[Judged]) -> Iterator[ShardRef]:
        for one in judged:
            self.called("pair")
            ref = one.responses
            ids = [r.response_id for r in read_shard(ref, Response)]
            rows = [
                pair_example(
                    f"e{ref.round}-{ref.shard}-{i}", ids[0], ids[1], margin=1.0, round=ref.round, prompt_id="train0"
                )
                for i in range(self.examples)
            ]
            stats = {"groups": 2, "ties": 2 - self.examples, "unusable": 0}
            yield write_shard(self.store, "examples", ref.round, ref.shard, rows, Example, stats)

    def anchor(self, lesson: Lesson) -> Iterable[ShardRef]:
        self.called("anchor")
        return []

    def initial_log_probs(self, round: int, responses: Sequence[ShardRef]) -> Iterable[ShardRef]:
        self.called("kl")
        rows = [AnchorLogProbs("id0", round, "initial", "r0-s0", "stub", "key", [-1.0])]
        stats = {"logprob": -1.0, "tokens": 1.0}
        return [
            write_shard(self.store, "evaluation_anchors", round, rank, rows, AnchorLogProbs, stats) for rank in (0, 1)
        ]

    def learn(self, lesson: Lesson) -> LearnReport:
        self.called("learn")
        self.lessons.append(lesson)
        assert self.holds_round in (lesson.round - 1, lesson.round), "no round is left out, none is learnt twice"
        self.holds_round = lesson.round
        self.checkpoint.write_text(json.dumps(lesson.round))
        steps = 0 if lesson.round == self.skips_in else self.steps
        return LearnReport(steps=steps, loss=0.5, terms={"margin": 1.0, "accuracy": 0.75})

    def rollback(self, version: PolicyVersion) -> None:
        self.called(f"rollback:{version}")
        self.holds_round = version.round

    def holds(self) -> PolicyVersion:
        return PolicyVersion.parse(self.serves)

    def push(self, version: PolicyVersion) -> Pushed:
        self.called(f"push:{version}")
        self.serves = str(version)
        return Pushed("{}", f"digest of {version}" + "'" * self.other_weights, 1e-6)

    def export(self, version: PolicyVersion, folder: Path) -> None:
        self.called("export")
        folder.mkdir(parents=True, exist_ok=True)


@dataclass
class Driven:
    """What one process of a run did."""

    summary: RunSummary | None
    fleets: StubFleets
    screen: str


def drive(folder: Path, *overrides: str, tracker: Tracker | None = None, **stub: float) -> Driven:
    """Run, or go on with, a small run; `summary` is None when it was killed."""
    config = compose(["experiment=demo", "rounds=2", "prompts.per_round=2", "algorithm.k=2", *overrides])
    pool = PromptPool(
        {"train": prompts("train", 4)},
        {"train": 1.0},
        prompts("gate", 1),
        prompts("test", 3),
        PoolCounts(8, 0, 0, 0, 4, 1, 3),
    )
    folder.mkdir(parents=True, exist_ok=True)
    task = Task(config, "i" * 32, folder, pool, "model digest")
    fleets = StubFleets(task.store, **stub)  # type: ignore[arg-type]
    ledger = Ledger(task.store)
    driver = ledger.claim()
    task = replace(task, prompts_path=ledger.append("prompts", 0, pool.everything).path)
    screen = io.StringIO()
    view = open_view(screen, {})
    shown = tracker or NullTracker()
    book = Book(task, blank_summary(task), ledger, driver, view, shown, lambda: 1.0, 0.0, 2)
    try:
        summary = run(task, fleets, book)
    except Killed:
        summary = None
    return Driven(summary, fleets, screen.getvalue())
