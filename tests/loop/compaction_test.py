from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from loop import compaction
from loop.compaction import SMALL_BYTES, TARGET_BYTES, merged_name, plan
from loop.errors import Damaged, Fenced
from loop.ledger import Ledger
from loop.ledger_tables import TableFile
from loop.records import Example, Prompt, RoundRow, ShardRef
from loop.shards import EPOCH_ROUNDS, read_columns, read_shard, read_shards, verify, write_shard
from loop.store import open_store, split
from tests.loop.conftest import keep_tables
from tests.loop.factories import pair_example

DIGEST = "0" * 64


def file(round: int, shard: int = 0, size: int = 100, rows: int = 2, found: tuple[int, int] | None = None) -> TableFile:
    low, high = found or (round, round)
    name = f"round-{round:06d}-shard-{shard:06d}-{DIGEST}.parquet"
    return TableFile(name, size, rows, low if rows else None, high if rows else None)


def merged(low: int, high: int, size: int = 1000) -> TableFile:
    return TableFile(f"rounds-{low:06d}-{high:06d}-{DIGEST}.parquet", size, 10, low, high)


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_tables(monkeypatch, "prompts", "examples", "rounds")


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MIN_FILES", 3)


def test_few_files_are_not_worth_a_merge(three: None) -> None:
    assert plan([file(1), file(2)], 9) == []
    assert plan([file(1), file(2), file(3)], 9) == [[file(1), file(2), file(3)]]


def test_files_are_merged_in_the_order_of_rounds_and_shards(three: None) -> None:
    files = [file(3), file(2, 1), file(2, 0), merged(0, 1), file(0, 5)]
    assert plan(files, 3) == [[merged(0, 1), file(0, 5), file(2, 0), file(2, 1), file(3)]]


def test_open_rounds_are_left_alone(three: None) -> None:
    files = [file(1), file(2), file(3), file(4), merged(2, 5)]
    assert plan(files, 3) == [[file(1), file(2), file(3)]]
    assert plan(files, 2) == []


def test_large_files_are_left_alone(three: None) -> None:
    large = [file(4, size=SMALL_BYTES), merged(5, 6, SMALL_BYTES)]
    assert plan([file(1), file(2), file(3), *large], 9) == [[file(1), file(2), file(3)]]


def test_files_whose_rows_are_of_other_rounds_are_left_alone(three: None) -> None:
    odd = [file(4, found=(3, 4)), file(5, found=(6, 6))]
    assert plan([file(1), file(2), file(3, rows=0), *odd], 9) == [[file(1), file(2), file(3, rows=0)]]


def test_merged_files_have_a_limit(three: None) -> None:
    size = SMALL_BYTES - 1
    files = [file(round, size=size) for round in range(10)]
    merges = plan(files, 9)
    assert [len(merge) for merge in merges] == [4, 4, 2]
    assert all(sum(f.size for f in merge) <= TARGET_BYTES for merge in merges)
    assert [f for merge in merges for f in merge] == files
    assert [len(merge) for merge in plan(files[:9], 9)] == [4, 4], "one file alone is not merged"


def examples(round: int, shard: int) -> list[Example]:
    return [pair_example(f"{round}-{shard}-{k}", "a", "b", margin=0.5, round=round) for k in range(shard)]


def written(root: str, round: int, shard: int) -> ShardRef:
    return write_shard(root, "examples", round, shard, examples(round, shard), Example, {"ties": 1})


def run(root: str, rounds: list[int], shards: tuple[int, ...] = (0, 1, 2)) -> Ledger:
    """Rounds with a shard of no row, one of one and one of two, tidied at their ends."""
    ledger = Ledger(root)
    ledger.claim()
    for round in rounds:
        ledger.commit([written(root, round, shard) for shard in shards])
        ledger.append("rounds", round, [RoundRow(round, "", "")])
        ledger.tidy(round)
    return ledger


def names(ledger: Ledger, epoch: int = 0) -> list[str]:
    """The files of the table's newest version."""
    return sorted(split(uri)[1] for uri in DeltaTable(f"{ledger.root}/examples/{epoch:06d}").file_uris())


def test_a_merge_changes_files_and_no_rows(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MIN_FILES", 7)
    ledger = run(root, [1, 2, 3])
    assert [merged_name(name)[:2] for name in names(ledger) if merged_name(name)] == [(1, 3)]
    assert len(names(ledger)) == 1
    expected = [row for round in (1, 2, 3) for shard in (0, 1, 2) for row in examples(round, shard)]
    ids = [row.example_id for row in expected]
    assert ledger.read("examples")["example_id"].to_pylist() == ids
    assert ledger.read("examples", ["example_id"], round=2)["example_id"].to_pylist() == ids[3:6]
    assert ledger.dataset("examples").count_rows() == len(ids)
    protocol = DeltaTable(f"{ledger.root}/examples/000000").protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)


def test_handles_to_a_merged_file_read_their_round_only(root: str, three: None) -> None:
    ledger = run(root, [1, 2])
    for round in (1, 2):
        numbers, handles = zip(*ledger.committed("examples", round).items(), strict=True)
        assert numbers == tuple(range(len(handles)))
        rows = [row for shard in (0, 1, 2) for row in examples(round, shard)]
        assert read_shards(handles, Example) == rows
        assert sum(ref.rows for ref in handles) == len(rows)
        assert [name for ref in handles for name in read_columns(ref, ["example_id"])[0]] == [
            r.example_id for r in rows
        ]
        assert all(ref.stats == {} and ref.round == round for ref in handles)
        for ref in handles:
            verify(ref)
    assert ledger.committed("examples", 3) == {}


def test_merged_files_are_merged_again_and_their_shards_stay_known(root: str, three: None) -> None:
    ledger = run(root, [1, 2, 3, 4, EPOCH_ROUNDS, EPOCH_ROUNDS + 1])
    assert [merged_name(name)[:2] for name in names(ledger)] == [(1, 4)]
    assert len(names(ledger, EPOCH_ROUNDS)) == 1
    again = Ledger(root)
    again.claim()
    again.commit([written(root, round, shard) for round in (1, 4, EPOCH_ROUNDS) for shard in (0, 1, 2)])
    assert len(names(again)) == len(names(again, EPOCH_ROUNDS)) == 1
    assert again.read("examples").num_rows == 6 * 3


def test_a_round_without_rows_is_still_known_after_a_merge(tmp_path: Path, three: None) -> None:
    ledger = run(str(tmp_path), [1, 2, 3], shards=(0,))
    (found,) = ledger.committed("examples", 2).values()
    assert merged_name(split(found.path)[1]) is not None
    assert found.rows == 0
    assert read_shard(found, Example) == []


def test_shards_that_come_after_a_merge_stand_beside_it(tmp_path: Path, three: None) -> None:
    ledger = run(str(tmp_path), [1])
    late = write_shard(tmp_path, "examples", 1, 9, examples(1, 1), Example)
    ledger.commit([late])
    found = ledger.committed("examples", 1)
    assert [ref.rows for ref in found.values()] == [3, 1]
    assert (found[1].path, found[1].shard) == (late.path, 1)


def test_a_round_is_merged_only_when_its_end_is_committed(tmp_path: Path, three: None) -> None:
    ledger = run(str(tmp_path), [])
    ledger.commit([written(str(tmp_path), 1, shard) for shard in range(5)])
    ledger.tidy(1)
    assert len(names(ledger)) == 5
    ledger.append("rounds", 1, [RoundRow(1, "", "")])
    ledger.commit([written(str(tmp_path), 2, shard) for shard in range(5)])
    ledger.tidy(2)
    assert [merged_name(name) is not None for name in names(ledger)] == [False] * 5 + [True]
    ledger.tidy(1)
    assert len(names(ledger)) == 6


def test_small_files_of_an_earlier_driver_are_merged_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(str(tmp_path), [1, 2])
    monkeypatch.setattr(compaction, "MIN_FILES", 6)
    ledger = Ledger(tmp_path)
    ledger.claim()
    ledger.tidy(2)
    assert len(names(ledger)) == 1


def test_tables_without_rounds_are_left_alone(tmp_path: Path, three: None) -> None:
    ledger = run(str(tmp_path), [1])
    for shard in range(5):
        ledger.append("prompts", 0, [Prompt(f"p{shard}", "[]", [1], None, "file")], shard)
    ledger.tidy(1)
    assert len(ledger.committed("prompts", 0)) == 5


def test_a_damaged_file_is_not_merged(tmp_path: Path, three: None) -> None:
    ledger = run(str(tmp_path), [])
    refs = [written(str(tmp_path), 1, shard) for shard in range(4)]
    ledger.commit(refs)
    Path(refs[2].path).write_bytes(Path(refs[3].path).read_bytes())
    ledger.append("rounds", 1, [RoundRow(1, "", "")])
    ledger.tidy(1)
    found = ledger.committed("examples", 1)
    assert [ref.rows for ref in found.values()] == [4, 2]
    with pytest.raises(Damaged):
        verify(found[1])


def test_a_driver_that_was_replaced_merges_and_removes_nothing(root: str, three: None) -> None:
    old = run(root, [])
    old.commit([written(root, 1, shard) for shard in range(4)])
    old.append("rounds", 1, [RoundRow(1, "", "")])
    new = Ledger(root)
    new.claim()
    with pytest.raises(Fenced):
        old.tidy(1)
    assert len(names(new)) == 4


def test_files_that_no_version_names_are_removed_after_a_day(root: str, three: None) -> None:
    ledger = run(root, [])
    fresh = written(root, 1, 7)
    old = written(root, 1, 8)
    if not root.startswith("s3"):
        day_ago = time.time() - (compaction.SAFE_AGE_H + 1) * 3600
        os.utime(old.path, (day_ago, day_ago))
    for round in (1, 2, 3):
        ledger.commit([written(root, round, shard) for shard in (0, 1, 2)])
        ledger.append("rounds", round, [RoundRow(round, "", "")])
        ledger.tidy(round)
    store = open_store(root)
    assert store.exists(fresh.path)
    assert store.exists(old.path) == root.startswith("s3")


def test_what_was_merged_away_is_removed_when_its_readers_have_ended(
    root: str, three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = run(root, [1])
    reader = ledger.dataset("examples")
    before = set(open_store(root).list("examples/000000"))
    run(root, [2, 3])
    assert reader.count_rows() == 3, "a reader that began before the merges"
    assert before <= set(open_store(root).list("examples/000000"))
    run(root, [4])
    monkeypatch.setattr(compaction, "SAFE_AGE_H", 0)
    run(root, [EPOCH_ROUNDS])
    for epoch, parts in ((0, 1), (EPOCH_ROUNDS, 1)):
        left = [name for name in open_store(root).list(f"examples/{epoch:06d}") if name.endswith(".parquet")]
        assert left == names(ledger, epoch) and len(left) == parts
    assert ledger.read("examples").num_rows == 5 * 3


def test_a_table_with_many_commits_has_a_checkpoint(tmp_path: Path) -> None:
    ledger = run(str(tmp_path), [])
    for shard in range(50):
        ledger.commit([written(str(tmp_path), 1, shard)])
    log = tmp_path / "examples" / "000000" / "_delta_log"
    assert [path.name for path in log.glob("*.checkpoint.parquet")] == [f"{49:020d}.checkpoint.parquet"]
    assert len(Ledger(tmp_path).committed("examples", 1)) == 50
