"""Fleets that write small shards instead of running engines, and a run that is driven with them."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loop.book import Book
from loop.composition import compose
from loop.config import RunConfig
from loop.describe import blank_summary
from loop.driver import run
from loop.evaluation.contests import contest_questions
from loop.evaluation.splits import EXAMINED, ContestTable
from loop.exports import export_folder
from loop.fleets import NOTHING_SAID, Contest, Judged, JudgementTable, Lesson, MetaRequest, Pushed
from loop.learning import LearnReport, Restored, StepOutcome
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
from loop.shards import read_shard, read_shards, write_shard
from loop.summary import RunSummary
from loop.task import Task
from loop.tracking import NullTracker, Tracker
from loop.validation import validate
from loop.view import open_view
from tests.loop.factories import judgement, pair_example, response
from tests.loop.stub_groups import group_of


def prompts(name: str, n: int) -> list[Prompt]:
    """Prompts of a source."""
    return [Prompt(f"{name}{i}", '[{"content":"q","role":"user"}]', [1, 2], "a", name) for i in range(n)]


class Killed(BaseException):
    """The process ends here, without a word to anybody."""


class StubFleets:
    """Does nothing, but writes what the driver expects, and remembers the order of calls.

    `dies_at` calls later it is killed; in round `skips_in` no optimiser step is applied; `empty` are rounds without an
    example; with `other_weights` what it pushes has another digest; `trusted` is the probability that the judge gives
    to the better text of its check; held-out answers of rounds that are `worse` are all wrong, and those that a
    promoted policy gives afresh score `defends_with`; `lose` counts by round the wrong ones for the gate. The learners'
    checkpoints are a file beside the store: every learn phase ends with one, and those of all rounds are kept.
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
        empty: Collection[int] = (),
        worse: Collection[int] = (),
        defends_with: float = 1.0,
        lose: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self.store = store
        self.examples = examples
        self.failed = failed
        self.steps = steps
        self.dies_at = dies_at
        self.skips_in = skips_in
        self.other_weights = other_weights
        self.trusted = trusted
        self.empty = empty
        self.worse = worse
        self.defends_with = defends_with
        self.lose = lose
        self.appointed: list[int] = []
        self.calls: list[str] = []
        self.asked: list[GenerateRequest] = []
        self.lessons: list[Lesson] = []
        self.probed: list[tuple[int, int, int, int]] = []
        self.holds_round = 0
        self.ends = {0: "r0-s0"}
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
        if self.checkpoint.exists():
            self.ends = {int(round): label for round, label in json.loads(self.checkpoint.read_text()).items()}
        self.holds_round = max(self.ends)
        return Restored(self.holds_round, True, ())

    @property
    def present(self) -> str:
        """What the learners stand at."""
        return self.ends[self.holds_round]

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[ShardRef]:
        for request in requests:
            self.called(f"generate:{request.purpose}" + (f" for {request.table}" if not request.whole else ""))
            assert request.policy == self.serves, "engines are asked for what they hold"
            self.asked.append(request)
            rows = [row for p in request.prompt_ids for row in group_of(request, p)]
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

    def judge(
        self,
        responses: Iterable[ShardRef],
        policy: PolicyVersion,
        table: JudgementTable = "judgements",
        said: Mapping[int, Sequence[ShardRef]] = NOTHING_SAID,
    ) -> Iterator[ShardRef]:
        for ref in responses:
            self.called({"judgements": "judge", "draft_judgements": "judge drafts"}.get(table, "score"))
            assert str(policy) == self.serves, "a judge may ask the engines"
            known = {j.response_ids[0]: j for j in read_shards(said.get(ref.shard, ()), Judgement)}
            rows = [
                known.get(r.response_id)
                or replace(
                    judgement([r.response_id], self._score(table, r)),
                    round=ref.round,
                    prompt_id=r.prompt_id,
                    judge=f"asked for {table}",
                )
                for r in read_shard(ref, Response)
            ]
            stats = {
                "failed": 0 if table in EXAMINED else self.failed,
                "undecided": 0,
                "value": sum(r.value or 0 for r in rows),
            }
            yield write_shard(self.store, table, ref.round, ref.shard, rows, Judgement, stats)

    def compare(self, contests: Iterable[Contest], policy: PolicyVersion, table: ContestTable) -> Iterator[ShardRef]:
        for one in contests:
            self.called("compare")
            answers, others = read_shard(one.answers, Response), read_shards(one.others, Response)
            ours, prompts = {r.response_id for r in answers}, {r.prompt_id for r in answers}
            theirs = [one for one in others if one.prompt_id in prompts]
            rows = [
                replace(
                    judgement(q.response_ids, float((q.response_ids[0] in ours) != (one.answers.round in self.worse))),
                    judgement_id="-".join(q.response_ids),
                    round=one.answers.round,
                    prompt_id=q.prompt_id,
                )
                for q in contest_questions(answers, theirs)
            ]
            stats = {"failed": 0, "undecided": 0, "value": 0}
            yield write_shard(self.store, table, one.answers.round, one.shard, rows, Judgement, stats)

    def _score(self, table: str, response: Response) -> float:
        """What the judge says of one response."""
        if table == "incumbent_judgements":
            return self.defends_with
        if table == "gate_judgements" and int(response.prompt_id.removeprefix("gate")) < self.lose.get(
            response.round, 0
        ):
            return 0.0
        return float(response.k == 0 and not (table in EXAMINED and response.round in self.worse))

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
            responses = read_shard(ref, Response)
            ids, prompt_id = [r.response_id for r in responses], responses[0].prompt_id
            rows = [
                pair_example(
                    f"e{ref.round}-{ref.shard}-{i}", ids[0], ids[1], margin=1.0, round=ref.round, prompt_id=prompt_id
                )
                for i in range(self.examples if ref.round not in self.empty else 0)
            ]
            stats = {"groups": 2, "ties": 2 - len(rows), "unusable": 0}
            yield write_shard(self.store, "examples", ref.round, ref.shard, rows, Example, stats)

    def meta(self, requests: Iterable[MetaRequest], policy: PolicyVersion) -> Iterator[ShardRef]:
        """Every judgement competes, each beats those before it, and the last one is chosen over the first."""
        for request in requests:
            self.called(f"meta:{request.table}")
            said, round = read_shard(request.judgements, Judgement), request.answers.round
            ids = [f"{round}-{request.shard}-{at}" for at in range(len(said))]
            if request.table == "responses":
                rows: list[Any] = [
                    replace(response(at, id=id), round=round, purpose="judgement", parent=one.response_ids[0])
                    for at, (id, one) in enumerate(zip(ids, said, strict=True))
                ]
            elif request.table == "judgements":
                assert str(policy) == self.serves, "the meta-judge is what the engines hold"
                assert [one.response_id for one in read_shard(request.competing or "", Response)] == ids
                rows = [replace(judgement(ids, 0.0), round=round)]
            else:
                assert [one.response_ids for one in read_shard(request.compared or "", Judgement)] == [ids]
                rows = [pair_example(f"meta {round}-{request.shard}", ids[-1], ids[0], round=round)]
            stats = {"failed": 0.0} if request.table == "judgements" else {}
            kind = {"responses": Response, "judgements": Judgement, "examples": Example}[request.table]
            yield write_shard(self.store, request.table, round, request.shard, rows, kind, stats)

    def anchor(self, lesson: Lesson) -> Iterable[ShardRef]:
        self.called("anchor")
        return []

    def log_probs(
        self, table: str, round: int, responses: Sequence[ShardRef], version: PolicyVersion
    ) -> Iterable[ShardRef]:
        self.called("kl" if table == "evaluation_anchors" else "weigh")
        rows = [AnchorLogProbs("id0", round, "initial", str(version), "stub", "key", [-1.0])]
        stats = {"logprob": -1.0, "tokens": 1.0}
        return [write_shard(self.store, table, round, rank, rows, AnchorLogProbs, stats) for rank in (0, 1)]

    def learn(self, lesson: Lesson) -> LearnReport:
        self.called("learn")
        self.lessons.append(lesson)
        if lesson.start is not None and self.holds_round not in (lesson.start, lesson.round):
            self.holds_round = lesson.start
        assert self.holds_round == lesson.round or self.present == str(lesson.policy), "learning goes on elsewhere"
        steps = 0 if lesson.round == self.skips_in else self.steps
        moved = PolicyVersion(lesson.round, lesson.policy.step + steps) if steps else lesson.policy
        self.holds_round, self.ends[lesson.round] = lesson.round, str(moved)
        self.checkpoint.write_text(json.dumps(self.ends))
        step = StepOutcome(4, (2.0, 4.0, 3.0), 100, 0.25, (), 0.5)
        terms = {"margin": 1.0, "accuracy": 0.75}
        return LearnReport(steps=steps, loss=0.5, terms=terms, seconds=0.5 * steps, outcomes=(step,) * steps)

    def rollback(self, version: PolicyVersion) -> None:
        self.called(f"rollback:{version}")
        self.holds_round = version.round
        assert self.present == str(version)

    def holds(self) -> PolicyVersion:
        return PolicyVersion.parse(self.serves)

    def serve(self, version: PolicyVersion) -> None:
        if str(version) == self.serves:
            return
        self.called(f"serve:{version}")
        exported = export_folder(Path(self.store).parent, version.round).is_dir()
        assert exported or str(version) in ("r0-s0", self.present), "its weights lie nowhere"
        self.serves = str(version)

    def push(self, version: PolicyVersion) -> Pushed:
        self.called(f"push:{version}")
        assert str(version) == self.present, "it is the learners' weights that are moved"
        self.serves = str(version)
        return Pushed("{}", f"digest of {version}" + "'" * self.other_weights, 1e-6)

    def diagnose(self, lesson: Lesson, answers: Sequence[ShardRef], most: int) -> dict[str, float]:
        assert self.holds_round in (lesson.round, lesson.policy.round), "it is the learners' weights that are probed"
        self.probed.append((lesson.round, len(lesson.examples), len(answers), most))
        return {"chosen_change": 0.01 * lesson.round, "rejected_change": -0.5} if lesson.rows else {}

    def export(self, version: PolicyVersion, folder: Path) -> None:
        self.called("export")
        assert str(version) == self.present, "it is the learners' weights that are written"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")


@dataclass
class Driven:
    """What one process of a run did."""

    summary: RunSummary | None
    fleets: StubFleets
    screen: str


@cache
def composed(*overrides: str) -> RunConfig:
    """The configuration of a small run, without a gate unless one is asked for."""
    small = ["experiment=demo", "gate=off", "rounds=2", "prompts.per_round=2", "algorithm.k=2"]
    return validate(compose([*small, *overrides]))


def drive(folder: Path, *overrides: str, tracker: Tracker | None = None, gate: int = 1, **stub: Any) -> Driven:
    """Run, or go on with, a small run with so many prompts for the gate; `summary` is None when it was killed."""
    config = composed(*overrides)
    pool = PromptPool(
        {"train": prompts("train", 4)},
        {"train": 1.0},
        prompts("gate", gate),
        prompts("test", 3),
        PoolCounts(7 + gate, 0, 0, 0, 4, gate, 3),
    )
    folder.mkdir(parents=True, exist_ok=True)
    task = Task(config, "i" * 32, folder, pool, "model digest")
    fleets = StubFleets(task.store, **stub)
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
