from __future__ import annotations

from pathlib import Path

import pytest

from loop.errors import Damaged
from loop.records import Example, Judgement, Response, ShardRef
from loop.shards import (
    EPOCH_ROUNDS,
    epoch_of,
    named,
    parquet,
    read_columns,
    read_shard,
    read_shards,
    verify,
    write_shard,
)
from loop.store import open_store, split
from tests.loop.factories import judgement, response

ROWS = [judgement(["id0"], 1.0), judgement(["id1", "id0"], None, "failed")]


def written(root: str | Path, shard: int = 0, rows: list[Judgement] = ROWS, round: int = 1) -> ShardRef:
    return write_shard(root, "judgements", round, shard, rows, Judgement, {"failed": 1, "value": 0.1})


def test_rows_come_back_as_they_were(root: str) -> None:
    ref, other = written(root), written(root, 1, ROWS[:1])
    assert read_shard(ref, Judgement) == read_shard(ref.path, Judgement) == ROWS
    assert read_shards([other, ref], Judgement) == [*ROWS[:1], *ROWS]
    assert read_columns(ref, ["status", "value"]) == [["decided", "failed"], [1.0, None]]


def test_a_shard_without_rows_comes_back(root: str) -> None:
    ref = write_shard(root, "examples", 1, 0, [], Example)
    assert ref.rows == 0
    assert read_shard(ref, Example) == []


def test_token_lists_keep_their_width(tmp_path: Path) -> None:
    ref = write_shard(tmp_path, "responses", 1, 0, [response(0)], Response)
    with parquet(ref.path) as file:
        assert str(file.schema_arrow.field("tokens_T").type) == "list<element: int32>"
        assert str(file.schema_arrow.field("logprobs_T").type) == "list<element: float>"
    assert read_shard(ref, Response) == [response(0)]


def test_the_same_rows_give_the_same_bytes_and_name(root: str, tmp_path: Path) -> None:
    first, second = written(root), written(tmp_path / "elsewhere")
    assert first.digest == second.digest
    assert split(first.path)[1] == split(second.path)[1]
    assert open_store(root).read(first.path) == Path(second.path).read_bytes()
    before = open_store(root).read(first.path)
    assert written(root) == first
    assert open_store(root).read(first.path) == before


def test_a_name_tells_round_shard_and_content(tmp_path: Path) -> None:
    ref = written(tmp_path, 3)
    folder, name = split(ref.path)
    assert folder == str(tmp_path / "judgements" / "000000")
    assert name == f"round-000001-shard-000003-{ref.digest}.parquet"
    assert named(name) == (1, 3, ref.digest)
    assert named("round-000001-shard-000003.parquet") is None
    assert named(f"{name}.0a1b2c3d.tmp") is None


def test_a_straggler_with_other_rows_does_not_overwrite(root: str) -> None:
    ref, straggler = written(root), written(root, rows=ROWS[:1])
    assert ref.path != straggler.path
    assert read_shard(ref, Judgement) == ROWS


def test_rounds_of_an_epoch_share_a_folder(tmp_path: Path) -> None:
    assert epoch_of(0) == epoch_of(EPOCH_ROUNDS - 1) == "000000"
    assert epoch_of(EPOCH_ROUNDS) == epoch_of(2 * EPOCH_ROUNDS - 1) == f"{EPOCH_ROUNDS:06d}"
    assert f"/judgements/{EPOCH_ROUNDS:06d}/" in written(tmp_path, round=EPOCH_ROUNDS + 5).path


def test_a_whole_file_is_what_its_handle_tells(root: str) -> None:
    verify(written(root))


def test_damage_is_noticed(root: str) -> None:
    ref = written(root)
    store = open_store(root)
    data = store.read(ref.path)
    store.write(ref.path.removeprefix(f"{store.root}/"), data[:40] + bytes([data[40] ^ 1]) + data[41:])
    with pytest.raises(Damaged, match="does not have the content that was committed"):
        verify(ref)
    written(root)
    verify(ref)


def test_a_missing_file_is_damage(root: str) -> None:
    ref = ShardRef("judgements", 1, 0, f"{open_store(root).root}/judgements/000000/nothing", 1, "0", {})
    with pytest.raises(Damaged, match="is not there"):
        verify(ref)
    with pytest.raises(Damaged, match="is not there"):
        read_shard(ref, Judgement)


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_half_a_file_is_damage(root: str, keep: int) -> None:
    ref = written(root)
    store = open_store(root)
    store.write(ref.path.removeprefix(f"{store.root}/"), store.read(ref.path)[:keep])
    with pytest.raises(Damaged, match="cannot be read as Parquet"):
        read_shard(ref, Judgement)


def test_broken_content_is_told_as_damage(tmp_path: Path) -> None:
    ref = write_shard(tmp_path, "responses", 1, 0, [response(k) for k in range(20)], Response)
    whole = Path(ref.path).read_bytes()
    told = 0
    places = range(4, len(whole), 7)
    for place in places:
        Path(ref.path).write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_shard(ref, Response)
        except Damaged:
            told += 1
    assert told > 0.8 * len(places), "bytes that no reader looks at stay unnoticed here, but not by verify"
