"""Several drivers, and readers other than ratchet, on a folder and on an object store."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from deltalake import DeltaTable

from loop import ledger_tables
from loop.errors import Fenced
from loop.ledger import TABLES, Ledger
from loop.records import Judgement, ShardRef
from loop.shards import EPOCH_ROUNDS, from_table, write_shard
from tests.loop.conftest import keep_tables
from tests.loop.factories import judgement


def written(root: str | Path, shard: int = 0, table: str = "judgements", round: int = 1) -> ShardRef:
    rows = [judgement([f"id{shard}-{k}"], float(k)) for k in range(3)]
    return write_shard(root, table, round, shard, rows, Judgement)


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_tables(monkeypatch, "prompts", "judgements", "rounds")


def claimed(root: str) -> Ledger:
    ledger = Ledger(root)
    ledger.claim()
    return ledger


def test_numbers_of_drivers_grow(root: str) -> None:
    assert [Ledger(root).claim() for _ in range(3)] == [1, 2, 3]


def test_a_driver_that_was_replaced_is_fenced_everywhere(root: str) -> None:
    old = claimed(root)
    old.commit([written(root)])
    refs = {name: write_shard(root, name, 1, 7, [], row_type) for name, row_type in TABLES.items()}
    new = claimed(root)
    for ref in (*refs.values(), written(root, round=EPOCH_ROUNDS), written(root)):
        with pytest.raises(Fenced, match=r"was taken over by another driver \(epoch 2\); this one stops"):
            old.commit([ref])
    new.commit([written(root), written(root, 1)])
    assert new.read("judgements").num_rows == 6


def test_a_driver_that_learns_of_its_successor_only_from_the_conflict_is_fenced(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = claimed(root)
    stale = DeltaTable(f"{old.root}/judgements/000000")
    new = claimed(root)
    new.commit([written(root)])
    monkeypatch.setattr("loop.ledger.open_table", lambda *_: stale)
    with pytest.raises(Fenced, match="epoch 2"):
        old.commit([written(root, 1)])
    monkeypatch.undo()
    assert set(new.committed("judgements", 1)) == {0}


def test_a_replaced_driver_that_begins_an_epoch_is_fenced(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = claimed(root)
    ref = written(root, round=EPOCH_ROUNDS)
    made = ledger_tables.make_table

    def taken_over_just_before(*args: object) -> None:
        monkeypatch.undo()
        Ledger(root).claim()
        made(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger_tables, "make_table", taken_over_just_before)
    with pytest.raises(Fenced):
        old.commit([ref])
    new = claimed(root)
    new.commit([ref])
    assert new.read("judgements").num_rows == 3


def test_a_claim_finds_an_epoch_that_is_made_meanwhile(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, claim_table = claimed(root), Ledger(root), ledger_tables.claim_table

    def old_is_quicker(store: object, name: str, epoch: str, driver: int) -> int:
        if name == "judgements" and driver == 2:
            monkeypatch.setattr("loop.ledger.claim_table", claim_table)
            old.commit([written(root, round=EPOCH_ROUNDS)])
        return claim_table(store, name, epoch, driver)  # type: ignore[arg-type]

    monkeypatch.setattr("loop.ledger.claim_table", old_is_quicker)
    new.claim()
    with pytest.raises(Fenced):
        old.commit([written(root, 1, round=EPOCH_ROUNDS)])


def test_of_two_claims_at_once_one_wins(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Ledger(root), Ledger(root)
    newest = Ledger._newest_driver
    together = threading.Barrier(2, timeout=60)

    def both_look_before_either_writes(self: Ledger, name: str) -> int:
        found = newest(self, name)
        if name == next(iter(TABLES)):
            together.wait()
        return found

    monkeypatch.setattr(Ledger, "_newest_driver", both_look_before_either_writes)
    told: dict[str, int | Fenced] = {}

    def claim(name: str, ledger: Ledger) -> None:
        try:
            told[name] = ledger.claim()
        except Fenced as error:
            told[name] = error

    for expected in (1, 2):
        threads = [threading.Thread(target=claim, args=item) for item in (("first", first), ("second", second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(str(type(outcome).__name__) for outcome in told.values()) == ["Fenced", "int"]
        assert expected in told.values()
    winner, loser = (first, second) if isinstance(told["first"], int) else (second, first)
    winner.commit([written(root)])
    with pytest.raises((Fenced, RuntimeError)):
        loser.commit([written(root, 1)])
    assert Ledger(root).read("judgements").num_rows == 3


def test_of_two_drivers_that_race_one_is_fenced_and_no_row_is_doubled(root: str) -> None:
    refs = [written(root, shard) for shard in range(12)]
    old = claimed(root)
    outcome: list[Exception] = []

    def work() -> None:
        try:
            for ref in refs:
                old.commit([ref])
        except Fenced as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    new = claimed(root)
    for ref in reversed(refs):
        new.commit([ref])
    thread.join()
    with pytest.raises(Fenced):
        old.commit([written(root, 99)])
    ids = [row.response_ids[0] for row in from_table(new.read("judgements"), Judgement)]
    assert sorted(ids) == sorted(f"id{shard}-{k}" for shard in range(12) for k in range(3))
    assert list(new.committed("judgements", 1).values()) == refs


def test_other_programs_read_the_tables(root: str) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    ledger = claimed(root)
    ledger.commit([written(root), written(root, 1), written(root, round=EPOCH_ROUNDS)])
    judgements = ledger.dataset("judgements")
    assert judgements.count_rows() == 9
    query = "select round, count(*) as rows, sum(value) as value from judgements group by round order by round"
    assert duckdb.sql(query).fetchall() == [(1, 9, 9.0)]
    table = f"{ledger.root}/judgements/000000"
    options = {"aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"], "aws_allow_http": "true"} if "s3" in root else None
    found = polars.scan_delta(table, storage_options=options).filter(polars.col("value") > 0).collect()
    assert found["response_ids"].explode().sort().to_list() == ["id0-1", "id0-2", "id1-1", "id1-2"]
    assert DeltaTable(table).to_pandas()["value"].sum() == 6.0
