from __future__ import annotations

import json
import resource
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from loop.errors import Damaged, Refused, StoreFailed
from loop.ledger import SCHEMA_VERSION, TABLES, Ledger
from loop.records import Judgement, Policy, Prompt, RoundRow, ShardRef, Telemetry
from loop.shards import EPOCH_ROUNDS, from_table, read_shard, schema_of, verify, write_shard
from loop.store import open_store, split
from tests.loop.conftest import keep_tables
from tests.loop.factories import judgement

ROWS = [judgement(["id0"], 1.0), judgement(["id1", "id0"], None, "failed")]


def written(root: str | Path, shard: int = 0, table: str = "judgements", round: int = 1) -> ShardRef:
    return write_shard(root, table, round, shard, ROWS, Judgement, {"failed": 1, "value": 0.1 + 0.2})


@pytest.fixture
def ledger(root: str, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger that was claimed."""
    keep_tables(monkeypatch, "prompts", "judgements", "policies", "evaluation_judgements", "rounds", "telemetry")
    ledger = Ledger(root)
    ledger.claim()
    return ledger


def test_rows_come_back_as_they_were(ledger: Ledger) -> None:
    ledger.commit([written(ledger.root)])
    assert from_table(ledger.read("judgements"), Judgement) == ROWS
    assert ledger.read("judgements", columns=["value", "round"]).to_pydict() == {"value": [1.0, None], "round": [1, 1]}


def test_a_shard_committed_twice_is_there_once(ledger: Ledger, root: str) -> None:
    ref = written(root)
    ledger.commit([ref])
    ledger.commit([ref, written(root, 1), written(root, 1)])
    later = Ledger(root)
    later.claim()
    later.commit([ref, written(root, 1)])
    assert later.read("judgements").num_rows == 2 * len(ROWS)


def test_what_was_written_and_not_committed_is_not_read(ledger: Ledger) -> None:
    ledger.commit([written(ledger.root)])
    written(ledger.root, 1)
    assert ledger.read("judgements").num_rows == len(ROWS)
    assert set(ledger.committed("judgements", 1)) == {0}


def test_handles_are_made_again_from_what_is_committed(ledger: Ledger, root: str) -> None:
    refs = [written(root, shard) for shard in (2, 0)]
    ledger.commit([*refs, written(root, round=2)])
    found = Ledger(root).committed("judgements", 1)
    assert list(found.items()) == [(0, refs[1]), (2, refs[0])], "stats, digest and all"
    for ref in found.values():
        verify(ref)
        assert read_shard(ref, Judgement) == ROWS
    assert Ledger(root).committed("judgements", 3) == Ledger(root).committed("judgements", EPOCH_ROUNDS) == {}


def test_a_damaged_shard_is_still_handed_out_to_be_made_again(ledger: Ledger, root: str) -> None:
    ref = written(root)
    ledger.commit([ref])
    open_store(root).write(ref.path.removeprefix(f"{ledger.root}/"), b"rubbish")
    (found,) = ledger.committed("judgements", 1).values()
    assert (found.shard, found.rows, found.digest, found.stats) == (0, len(ROWS), ref.digest, {})
    with pytest.raises(Damaged):
        verify(found)
    assert written(root) == ref
    verify(found)


def test_shards_of_one_table_are_one_commit(ledger: Ledger, root: str) -> None:
    before = DeltaTable(f"{ledger.root}/judgements/000000").version()
    ledger.commit([written(root, shard) for shard in range(3)])
    assert DeltaTable(f"{ledger.root}/judgements/000000").version() == before + 1


def test_shards_of_one_table_are_committed_all_or_none(ledger: Ledger, root: str) -> None:
    gone = ShardRef("judgements", 1, 1, written(root, 1).path[:-8] + ".parquet", 2, "", {})
    bad = [gone, ShardRef(**{f: getattr(written(root, 1), f) for f in gone.__slots__} | {"rows": 7})]
    for ref, error in zip(bad, (ValueError, Damaged), strict=True):
        with pytest.raises(error):
            ledger.commit([written(root), ref])
    assert ledger.read("judgements").num_rows == 0


def test_tables_are_committed_in_the_order_of_their_first_shards(ledger: Ledger, root: str) -> None:
    missing = written(root, 9)
    open_store(root).write(missing.path.removeprefix(f"{ledger.root}/"), b"")
    refs = [written(root, 0, "evaluation_judgements"), missing, written(root, 1, "evaluation_judgements")]
    with pytest.raises(Damaged):
        ledger.commit(refs)
    assert ledger.read("evaluation_judgements").num_rows == 2 * len(ROWS)
    assert ledger.read("judgements").num_rows == 0


def test_the_driver_appends_rows_of_its_own_once(ledger: Ledger) -> None:
    rows = [Telemetry(1, "learn", "phase", 5.0, 2.5)]
    ref = ledger.append("telemetry", 1, rows)
    again = ledger.append("telemetry", 1, [Telemetry(1, "learn", "phase", 6.0, 3.5)])
    assert again == ref, "the handle of what is committed, not of what was tried"
    ledger.append("telemetry", 1, rows, shard=2)
    assert from_table(ledger.read("telemetry"), Telemetry) == rows * 2


def test_writing_without_claiming_is_a_mistake(root: str) -> None:
    for refs in ([], [written(root)]):
        with pytest.raises(RuntimeError, match="claim"):
            Ledger(root).commit(refs)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_is_empty_at_first(tmp_path: Path, table: str) -> None:
    ledger = Ledger(tmp_path)
    for _ in range(2):
        assert ledger.read(table).num_rows == ledger.dataset(table).count_rows() == 0
        assert ledger.read(table).schema.equals(schema_of(TABLES[table]))
        assert ledger.dataset(table).schema.names == schema_of(TABLES[table]).names
        ledger.claim()


def test_looking_at_a_ledger_makes_nothing(root: str) -> None:
    ledger = Ledger(root)
    ledger.read("responses")
    ledger.dataset("responses")
    ledger.committed("responses", 1)
    assert open_store(root).list() == []


def test_epochs_of_rounds_are_tables_of_their_own(ledger: Ledger, root: str) -> None:
    refs = [written(root, round=r) for r in (1, EPOCH_ROUNDS, EPOCH_ROUNDS + 1, 3 * EPOCH_ROUNDS)]
    ledger.commit(refs)
    epochs = ["000000", f"{EPOCH_ROUNDS:06d}", f"{3 * EPOCH_ROUNDS:06d}"]
    assert open_store(root).list("judgements") == epochs
    files = [len(DeltaTable(f"{ledger.root}/judgements/{epoch}").file_uris()) for epoch in epochs]
    assert files == [1, 2, 1]
    assert ledger.read("judgements").num_rows == ledger.dataset("judgements").count_rows() == 4 * len(ROWS)
    assert ledger.read("judgements", round=EPOCH_ROUNDS + 1).num_rows == len(ROWS)
    for ref in refs:
        assert ledger.committed("judgements", ref.round) == {0: ref}


def test_files_of_a_round_can_be_found_by_any_reader(ledger: Ledger, root: str) -> None:
    def rows(*rounds: int) -> list[Policy]:
        return [Policy(f"r{r}-s0", r, 0, "", "", 0.0) for r in rounds]

    ledger.append("policies", 5, rows(3, 7))
    ledger.append("policies", 8, rows(8))
    added = DeltaTable(f"{ledger.root}/policies/000000").get_add_actions(flatten=True)
    found = [added[name].to_pylist() for name in ("num_records", "min.round", "max.round")]
    assert sorted(zip(*found, strict=True)) == [(1, 8, 8), (2, 3, 7)]
    table = DeltaTable(f"{ledger.root}/policies/000000").to_pyarrow_table(filters=[("round", "=", 7)])
    assert table["version"].to_pylist() == ["r7-s0"]
    assert ledger.read("policies", ["version"], round=5)["version"].to_pylist() == ["r3-s0", "r7-s0"]


def test_filters_on_any_column_find_their_rows(ledger: Ledger, root: str) -> None:
    ledger.commit([written(root, shard) for shard in range(2)])
    ledger.append("prompts", 0, [Prompt("p", "[]", [1, 2], None, "file")])
    decided = ds.field("status") == "decided"
    assert ledger.dataset("judgements").count_rows(filter=decided) == 2
    for name, column, value, rows in (("judgements", "value", 1.0, 2), ("prompts", "source", "file", 1)):
        table = DeltaTable(f"{ledger.root}/{name}/000000")
        assert table.to_pyarrow_table(filters=[(column, "=", value)]).num_rows == rows
        assert ledger.dataset(name).count_rows(filter=ds.field(column) == value) == rows


def test_rows_without_a_round_are_read_by_the_round_of_their_shard(ledger: Ledger) -> None:
    prompt = Prompt("p", "[]", [1, 2], None, "file")
    ledger.append("prompts", 0, [prompt])
    assert from_table(ledger.read("prompts", round=0), Prompt) == [prompt]
    assert ledger.read("prompts", round=1).num_rows == 0


def test_old_readers_can_open_every_table(ledger: Ledger) -> None:
    ledger.append("rounds", 1, [RoundRow(1, "r1-s0", "{}")])
    for name in TABLES:
        protocol = DeltaTable(f"{ledger.root}/{name}/000000").protocol()
        assert (protocol.min_reader_version, protocol.reader_features) == (1, None)
        assert (protocol.min_writer_version, protocol.writer_features) == (2, None)


def test_a_ledger_of_another_version_is_refused(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loop.ledger_tables.SCHEMA_VERSION", "2")
    Ledger(root).claim()
    monkeypatch.undo()
    calls = [Ledger(root).claim, lambda: Ledger(root).read("rounds"), lambda: Ledger(root).committed("rounds", 1)]
    for call in calls:
        with pytest.raises(Refused, match=rf"has schema version 2, this program reads version {SCHEMA_VERSION}: use"):
            call()


def test_a_ledger_without_epochs_is_refused(tmp_path: Path) -> None:
    DeltaTable.create(str(tmp_path / "rounds"), schema_of(RoundRow), description="schema_version=1")
    for call in (Ledger(tmp_path).claim, lambda: Ledger(tmp_path).read("rounds")):
        with pytest.raises(Refused, match="has schema version 1"):
            call()


def test_a_full_disk_fails_a_commit_and_a_retry_works(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.claim()
    ref = written(tmp_path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(StoreFailed, match="File too large"):
            ledger.commit([ref])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert ledger.read("judgements").num_rows == 0
    ledger.commit([ref])
    assert ledger.committed("judgements", 1) == {0: ref}


def test_a_commit_whose_answer_was_lost_counts(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    create = DeltaTable.create_write_transaction

    def lost(*args: object, **keywords: object) -> None:
        create(*args, **keywords)  # type: ignore[arg-type]
        raise OSError("timed out")

    ref = written(ledger.root)
    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", lost)
        ledger.commit([ref])
    ledger.commit([ref])
    assert ledger.read("judgements").num_rows == len(ROWS)


def test_a_commit_names_its_driver_and_its_shards(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.claim()
    assert ledger.claim() == 2
    ledger.commit([written(tmp_path, 4), written(tmp_path, 5)])
    log = sorted((tmp_path / "judgements" / "000000" / "_delta_log").glob("*.json"))[-1].read_text().splitlines()
    txns = [entry["txn"] for entry in map(json.loads, log) if "txn" in entry]
    assert {(t["appId"], t["version"]) for t in txns} == {("driver", 2), ("round-1-shard-4", 0), ("round-1-shard-5", 0)}
    assert [split(entry["add"]["path"])[0] for entry in map(json.loads, log) if "add" in entry] == [".", "."]
