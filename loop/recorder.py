"""Follows one round: commits every shard that passes, counts, keeps time and shows progress."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from loop.fleets import Pushed
from loop.learning import LearnReport
from loop.ledger import Ledger
from loop.records import Policy, PolicyVersion, ShardRef
from loop.view import View

T = TypeVar("T")

SHOWN = 5
"""Example ids spelled out in a note."""


class Recorder:
    """One round's record: shard handles and summed statistics by table, seconds by phase, sentences worth telling."""

    def __init__(self, number: int, ledger: Ledger, view: View, on_shard: Callable[[], None]) -> None:
        self.number = number
        self.ledger = ledger
        self.view = view
        self.on_shard = on_shard
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []
        self.report: LearnReport | None = None
        self.push_gap: float | None = None
        self.checkpoint: Path | None = None
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._shards: dict[str, list[ShardRef]] = defaultdict(list)

    def stream(self, phase: str, refs: Iterable[ShardRef], total: int, unit: str) -> Iterator[ShardRef]:
        """Pass handles on as they come, each committed before the next phase sees it. `total` counts `unit`s, which are
        rows."""
        started = time.monotonic()
        with self.view.phase(self.number, phase, total, unit) as progress:
            for ref in refs:
                self.ledger.commit(ref)
                self.on_shard()
                self._shards[ref.table].append(ref)
                self._counts[ref.table].update(ref.stats)
                self._counts[ref.table]["rows"] += ref.rows
                progress.advance(ref.rows)
                yield ref
        self.seconds[phase] = time.monotonic() - started

    def drain(self, phase: str, refs: Iterable[ShardRef], total: int, unit: str) -> list[ShardRef]:
        """`stream` to its end; the handles in the order of their shards."""
        return sorted(self.stream(phase, refs, total, unit), key=lambda ref: ref.shard)

    def do(self, phase: str, work: Callable[[], T]) -> T:
        """A phase that is one call."""
        started = time.monotonic()
        with self.view.phase(self.number, phase, 0, ""):
            result = work()
        self.seconds[phase] = time.monotonic() - started
        return result

    def note(self, sentence: str) -> None:
        """Something a person should know, shown now and kept in the summary."""
        self.notes.append(sentence)
        self.view.notice(sentence)

    def learned(self, report: LearnReport) -> None:
        """What the learn phase came to."""
        self.report = report
        if report.skipped_steps:
            named = ", ".join(report.bad_examples[:SHOWN])
            self.note(
                f"{report.skipped_steps} optimiser steps were skipped because their loss or gradient was not finite; "
                f"their first examples: {named}."
            )

    def pushed(self, version: PolicyVersion, pushed: Pushed) -> None:
        """The proof that a version reached the engines goes into the ledger."""
        self.push_gap = pushed.gap
        row = Policy(str(version), version.round, version.step, pushed.digest, pushed.manifest, pushed.gap)
        self.ledger.append("policies", self.number, [row])

    def shards(self, table: str) -> list[ShardRef]:
        """The handles of a table, in the order of their shards."""
        return sorted(self._shards[table], key=lambda ref: ref.shard)

    def count(self, table: str, stat: str = "rows") -> float:
        """A statistic of the round, summed over a table's shards."""
        return self._counts[table][stat]
