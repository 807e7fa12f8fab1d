"""A run that breaks off anywhere and is taken up again leaves the very tables of one that was never disturbed."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop import compaction
from loop import ledger as ledger_module
from loop.commit_buffer import CommitBuffer
from loop.errors import Fenced
from loop.ledger import TABLES, Ledger
from loop.records import RoundRow, ShardRef
from loop.shards import from_table, read_shard, verify, write_shard
from tests.loop.factories import judgement, pair_example

ROUNDS, SHARDS = 3, 2
PHASES = ("judgements", "examples", "evaluation_judgements")
WRITTEN = (*PHASES, "rounds")

Rows = dict[str, list[object]]
Step = Callable[[], None]


class Crash(Exception):
    """The driver's machine is gone."""


def write(ledger: Ledger, table: str, round: int, shard: int) -> ShardRef:
    """What a run of this identity writes, whoever writes it."""
    rows: list[object]
    if table == "rounds":
        rows = [RoundRow(round, f"r{round}-s0", "{}")]
    elif table == "examples":
        rows = [pair_example(f"{round}-{shard}-{k}", "a", "b", margin=0.5, round=round) for k in range(shard)]
    else:
        rows = [dataclasses.replace(judgement([f"{shard}-{k}"], k / 3), round=round) for k in range(2)]
    return write_shard(ledger.root, table, round, shard, rows, TABLES[table], {"rows": len(rows) / 3})


def drive(ledger: Ledger, buffer: CommitBuffer, order: random.Random, step: Step) -> None:
    """Take the run up where the ledger says that it stands, and bring it to its end. `step` may raise."""
    for round in range(ledger.read("rounds").num_rows, ROUNDS):
        for phase in PHASES:
            done = ledger.committed(phase, round)
            for shard, ref in done.items():
                verify(ref)
                assert ref == write(ledger, phase, round, shard), "what is taken over is what would be made"
            todo = [shard for shard in range(SHARDS) if shard not in done]
            order.shuffle(todo)
            for shard in todo:
                step()
                ref = write(ledger, phase, round, shard)
                step()
                buffer.add(ref)
        buffer.add(write(ledger, "rounds", round, 0))
        ledger.tidy(round)
        step()
    buffer.flush()


def rows_by_shard(ledger: Ledger) -> Rows:
    """All rows as any reader sees them, in the order of rounds and then of content."""
    found = {table: from_table(ledger.read(table), TABLES[table]) for table in WRITTEN}
    return {table: sorted(rows, key=lambda row: (row.round, str(row))) for table, rows in found.items()}


def rows_by_handle(ledger: Ledger) -> Rows:
    """All rows as the driver reads them again, in the order of the handles."""
    found: Rows = {}
    for table, round in itertools.product(WRITTEN, range(ROUNDS)):
        for ref in ledger.committed(table, round).values():
            verify(ref)
            rows = read_shard(ref, TABLES[table])
            assert len(rows) == ref.rows
            found.setdefault(table, []).extend(rows)
    return found


def check_order(ledger: Ledger) -> None:
    """A later phase is committed only after the earlier ones, and a round's end after all of it."""
    for round in range(ROUNDS):
        shards = [len(ledger.committed(table, round)) for table in PHASES]
        closed = bool(ledger.committed("rounds", round))
        for earlier, later in itertools.pairwise([*shards, closed]):
            assert not later or earlier, (round, shards, closed)


def stepper(monkeypatch: pytest.MonkeyPatch, steps: int) -> Step:
    """A step that raises Crash after so many; commits and merges are steps too, before and after."""
    left = iter(range(steps))

    def step() -> None:
        if next(left, None) is None:
            raise Crash

    def stepped(call: Callable[..., object]) -> Callable[..., object]:
        def around(*args: object) -> object:
            step()
            result = call(*args)
            step()
            return result

        return around

    monkeypatch.setattr(ledger_module, "change", stepped(ledger_module.change))
    monkeypatch.setattr(compaction, "merge", stepped(compaction.merge))
    return step


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """A ledger of the tables used here, on a disk that needs no flush: what crashes here is only the driver."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        for table in set(TABLES) - set(WRITTEN):
            patch.delitem(TABLES, table)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Rows]:
    """The rows of a run that nothing happened to, that is never tidied and shares no commits."""
    ledger = Ledger(tmp_path_factory.mktemp("undisturbed"))
    ledger.claim()
    drive(ledger, CommitBuffer(ledger, 0, 0.0), random.Random(0), lambda: None)
    return rows_by_shard(ledger), rows_by_handle(ledger)


@given(
    crashes=st.lists(st.integers(0, 60), max_size=3),
    min_rows=st.sampled_from([0, 5, 1000]),
    small_files=st.sampled_from([2, 3, 1000]),
    seed=st.integers(0, 99),
    zombies=st.booleans(),
)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_run_that_breaks_off_anywhere_leaves_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: tuple[Rows, Rows],
    crashes: list[int],
    min_rows: int,
    small_files: int,
    seed: int,
    zombies: bool,
) -> None:
    root, order = tmp_path_factory.mktemp("run"), random.Random(seed)
    replaced: list[tuple[Ledger, CommitBuffer]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "MIN_FILES", small_files)
        for steps in [*crashes, 10**6]:
            ledger = Ledger(root)
            ledger.claim()
            buffer = CommitBuffer(ledger, min_rows, 1e9)
            for old, waiting in replaced if zombies else ():
                for act in (waiting.flush, lambda old=old: old.commit([write(old, "judgements", 2, 1)])):
                    try:
                        act()
                    except Fenced:
                        continue
                    assert act == waiting.flush and not waiting._waiting
            with patch.context() as stepping:
                try:
                    drive(ledger, buffer, order, stepper(stepping, steps))
                except Crash:
                    replaced.append((ledger, buffer))
            check_order(ledger)
    assert (rows_by_shard(ledger), rows_by_handle(ledger)) == undisturbed
