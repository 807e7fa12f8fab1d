"""Follows one round: hands on what is committed already and commits the rest as it comes, counts, keeps time and shows
progress."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Protocol, TypeVar

from loop.commit_buffer import CommitBuffer
from loop.crash import reached
from loop.errors import Damaged
from loop.evaluation.comparison import Comparison
from loop.fleets import Pushed
from loop.gate.result import GateResult
from loop.hook import Hooked
from loop.learning import LearnReport
from loop.ledger import TABLES, Ledger
from loop.records import Policy, PolicyVersion, ShardRef
from loop.shards import verify, write_shard
from loop.view import Phase, View

T = TypeVar("T")

SHOWN = 5
"""Example ids spelled out in a note."""

UNITS = {
    "drafts": "answers",
    "draft_judgements": "judgements",
    "draft_anchors": "answers",
    "responses": "answers",
    "judgements": "judgements",
    "judge_checks": "questions",
    "verdicts": "verdicts",
    "examples": "examples",
    "anchors": "answers",
    "evaluation_responses": "answers",
    "evaluation_judgements": "judgements",
    "evaluation_comparisons": "judgements",
    "evaluation_anchors": "answers",
    "gate_responses": "answers",
    "gate_judgements": "judgements",
    "gate_comparisons": "judgements",
    "incumbent_responses": "answers",
    "incumbent_judgements": "judgements",
    "retention_responses": "answers",
    "retention_judgements": "judgements",
    "retention_comparisons": "judgements",
}
"""What a person calls the rows of a table."""


class HasShard(Protocol):
    """What one shard is made from."""

    @property
    def shard(self) -> int:
        """The shard's number."""


Item = TypeVar("Item", bound=HasShard)


class Recorder:
    """One round's record: shard handles and summed statistics by table, seconds by phase, sentences worth telling.

    `on_phase` is told the phases under way whenever they change; `on_shard` every shard that was made now, with its
    phase; `on_report` what the learn phase came to.
    """

    def __init__(
        self,
        number: int,
        ledger: Ledger,
        buffer: CommitBuffer,
        view: View,
        on_phase: Callable[[int, list[str]], None],
        on_shard: Callable[[str, ShardRef], None],
        on_report: Callable[[int, LearnReport], None],
    ) -> None:
        self.number = number
        self.ledger = ledger
        self.buffer = buffer
        self.view = view
        self.on_phase = on_phase
        self.on_shard = on_shard
        self.on_report = on_report
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []
        self.report: LearnReport | None = None
        self.push_gap: float | None = None
        self.figures: dict[str, float] = {}  # of the round's diagnostics
        self.checkpoint: Path | None = None
        self.candidate: PolicyVersion | None = None
        self.gate: GateResult | None = None
        self.versus: list[Comparison] = []
        self.diversity: float | None = None
        self.hook: dict[str, float] = {}
        self.digests: dict[str, str] = {}
        self._phases: list[str] = []
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._shards: dict[str, list[ShardRef]] = defaultdict(list)

    def stream(
        self,
        phase: str,
        table: str,
        work: Callable[[Iterable[Item]], Iterable[ShardRef]],
        items: Iterable[Item],
        total: int = 0,
        shards: range | None = None,
    ) -> Iterator[ShardRef]:
        """The shards of a table, one per item: those committed already first, then what `work` makes of the other
        items, each on its way to the ledger before the next phase sees it. `total` counts rows, 0: unknown. `shards`
        are the numbers that the phase makes, where others make more of the same table."""
        done, damaged = self._committed(table, shards)
        items = iter(items)
        first = list(islice(items, 1))  # where items come from another phase, that one begins before this one
        todo = (item for item in chain(first, items) if item.shard not in done)
        with self._phase(phase, total, UNITS[table]) as progress:
            for ref in done.values():
                self._count(ref)
                progress.resume(ref.rows)
                yield ref
            for ref in work(todo):
                _require_same(ref, damaged)
                self.buffer.add(ref)
                reached(f"shard/{phase}")
                self.on_shard(phase, ref)
                self._count(ref)
                progress.advance(ref.rows)
                yield ref

    def drain(
        self,
        phase: str,
        table: str,
        work: Callable[[Iterable[Item]], Iterable[ShardRef]],
        items: Iterable[Item],
        total: int = 0,
        shards: range | None = None,
    ) -> list[ShardRef]:
        """`stream` to its end; the handles in the order of their shards."""
        return sorted(self.stream(phase, table, work, items, total, shards), key=lambda ref: ref.shard)

    def together(
        self, phase: str, table: str, work: Callable[[], Iterable[ShardRef]], total: int = 0
    ) -> list[ShardRef]:
        """A phase whose shards are committed all at once, because their number depends on how many workers there
        are."""
        done, damaged = self._committed(table)
        with self._phase(phase, total, UNITS[table]) as progress:
            made = damaged or not done
            refs = list(work() if made else done.values())
            if made:
                for ref in refs:
                    _require_same(ref, damaged)
                self.buffer.add_together(refs)
            for ref in refs:
                self._count(ref)
                (progress.advance if made else progress.resume)(ref.rows)
        return sorted(refs, key=lambda ref: ref.shard)

    def do(self, phase: str, work: Callable[[], T]) -> T:
        """A phase that is one call."""
        with self._phase(phase, 0, ""):
            return work()

    def note(self, sentence: str) -> None:
        """Something a person should know, shown now and kept in the summary."""
        self.notes.append(sentence)
        self.view.notice(sentence)

    def learned(self, report: LearnReport) -> None:
        """What the learn phase came to."""
        self.report = report
        self.on_report(self.number, report)
        if report.skipped_steps:
            named = ", ".join(report.bad_examples[:SHOWN])
            self.note(
                f"{report.skipped_steps} optimiser steps were skipped because their loss or gradient was not finite; "
                f"their first examples: {named}."
            )

    def hooked(self, told: Hooked) -> None:
        """What the user's own command said of the exported checkpoint."""
        self.hook = told.numbers
        if told.failure is not None:
            self.note(told.failure)

    def gated(self, result: GateResult, could_have_seen: str) -> None:
        """What the gate decided, and how much it can see."""
        self.gate = result
        self.note(f"The gate {result.decision} {result.candidate}: {result.reason}. {could_have_seen}")

    def met(self, policy: PolicyVersion, digest: str, gap: float, parent: str | None) -> None:
        """The initial policy, which engines and learners loaded by themselves, goes into the ledger."""
        self.push_gap = gap
        self._policy(Policy(str(policy), policy.round, policy.step, digest, "", gap, parent))

    def pushed(self, version: PolicyVersion, pushed: Pushed) -> None:
        """The proof that a version reached the engines goes into the ledger."""
        self.push_gap = pushed.gap
        self._policy(Policy(str(version), version.round, version.step, pushed.digest, pushed.manifest, pushed.gap))

    def flush(self) -> None:
        """Commit whatever waits for company."""
        self.buffer.flush()

    def shards(self, table: str) -> list[ShardRef]:
        """The handles of a table, in the order of their shards."""
        return sorted(self._shards[table], key=lambda ref: ref.shard)

    def count(self, table: str, stat: str = "rows") -> float:
        """A statistic of the round, summed over a table's shards."""
        return self._counts[table][stat]

    def _policy(self, row: Policy) -> None:
        self.digests[row.version] = row.digest
        self.buffer.add(write_shard(self.ledger.root, "policies", self.number, 0, [row], TABLES["policies"]))

    @contextmanager
    def _phase(self, phase: str, total: int, unit: str) -> Iterator[Phase]:
        """A phase under way: shown, timed and told to whoever wants to know."""
        started = time.monotonic()
        self._phases.append(phase)
        self.on_phase(self.number, list(self._phases))
        reached(f"phase/{phase}")
        try:
            with self.view.phase(self.number, phase, total, unit) as progress:
                yield progress
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - started
            self._phases.remove(phase)
            self.on_phase(self.number, list(self._phases))

    def _count(self, ref: ShardRef) -> None:
        self._shards[ref.table].append(ref)
        self._counts[ref.table].update(ref.stats)
        self._counts[ref.table]["rows"] += ref.rows

    def _committed(self, table: str, shards: range | None = None) -> tuple[dict[int, ShardRef], dict[int, ShardRef]]:
        """The round's committed shards by number: whole ones, and damaged ones, which are made again."""
        whole: dict[int, ShardRef] = {}
        damaged: dict[int, ShardRef] = {}
        for shard, ref in sorted(self.ledger.committed(table, self.number).items()):
            if shards is not None and shard not in shards:
                continue
            try:
                verify(ref)
                whole[shard] = ref
            except Damaged as error:
                damaged[shard] = ref
                self.view.notice(f"{error} It is made again.")
        return whole, damaged


def _require_same(ref: ShardRef, damaged: dict[int, ShardRef]) -> None:
    """Raises: Damaged when a shard that replaces a damaged one differs from it: what was built on it would not fit."""
    lost = damaged.get(ref.shard)
    if lost is not None and lost.digest != ref.digest:
        raise Damaged(
            f"shard {ref.shard} of round {ref.round} in {ref.table} is damaged, and made again it is not the same: "
            f"fork from an earlier round (parent=RUN@{max(ref.round - 1, 0)}) or start again (fresh=true)."
        )
