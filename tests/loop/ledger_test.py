from __future__ import annotations

from pathlib import Path

import pytest

from loop.ledger import TABLES, Ledger
from loop.records import Judgement, ShardRef, Telemetry
from loop.shards import from_table, read_shard, schema_of, write_shard
from tests.loop.factories import judgement, response

ROWS = [judgement(["id0"], 1.0), judgement(["id1", "id0"], None, "failed")]


def written(root: Path, shard: int = 0) -> ShardRef:
    return write_shard(root, "judgements", 1, shard, ROWS, Judgement, {"failed": 1})


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.commit(written(tmp_path))
    assert from_table(ledger.read("judgements"), Judgement) == ROWS
    assert read_shard(written(tmp_path), Judgement) == ROWS


def test_a_shard_committed_twice_is_there_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.commit(written(tmp_path)) is True
    assert ledger.commit(written(tmp_path)) is False
    assert Ledger(tmp_path).commit(written(tmp_path)) is False, "another process knows as well"
    assert ledger.commit(written(tmp_path, shard=1)) is True
    assert ledger.read("judgements").num_rows == 2 * len(ROWS)


def test_what_was_written_and_not_committed_is_not_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.commit(written(tmp_path))
    written(tmp_path, shard=1)
    assert ledger.read("judgements").num_rows == len(ROWS)


def test_the_same_rows_give_the_same_digest(tmp_path: Path) -> None:
    assert written(tmp_path / "a").digest == written(tmp_path / "b").digest


def test_the_driver_appends_rows_of_its_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append("telemetry", 1, [Telemetry(1, "learn", 2.5)])
    assert ledger.read("telemetry").to_pylist() == [{"round": 1, "phase": "learn", "seconds": 2.5}]


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_can_be_made_and_is_empty_at_first(tmp_path: Path, table: str) -> None:
    read = Ledger(tmp_path).read(table)
    assert read.num_rows == 0
    assert read.schema.names == schema_of(TABLES[table]).names


def test_token_lists_keep_their_width(tmp_path: Path) -> None:
    rows = [response(0)]
    ref = write_shard(tmp_path, "responses", 1, 0, rows, TABLES["responses"])
    assert read_shard(ref, TABLES["responses"]) == rows
