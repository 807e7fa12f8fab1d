from __future__ import annotations

from pathlib import Path

import pytest

from loop.commit_buffer import CommitBuffer
from loop.errors import Fenced, StoreFailed
from loop.ledger import Ledger
from loop.records import ShardRef


def ref(table: str, shard: int = 0, rows: int = 1, round: int = 1) -> ShardRef:
    return ShardRef(table, round, shard, "", rows, "", {})


class FakeLedger(Ledger):
    """Remembers what was committed with what; fails when told to."""

    def __init__(self) -> None:
        self.commits: list[list[ShardRef]] = []
        self.error: Exception | None = None

    def commit(self, refs: object) -> None:
        if self.error:
            raise self.error
        self.commits.append(list(refs))  # type: ignore[call-overload]


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


def test_shards_wait_until_they_hold_enough_rows(ledger: FakeLedger) -> None:
    buffer = CommitBuffer(ledger, 10, 1e9)
    refs = [ref("responses", 0, 4), ref("responses", 1, 5), ref("responses", 2, 1), ref("responses", 3, 9)]
    for each in refs:
        buffer.add(each)
    assert ledger.commits == [refs[:3]]
    buffer.flush()
    buffer.flush()
    assert ledger.commits == [refs[:3], refs[3:]]


def test_the_oldest_shard_does_not_wait_too_long(ledger: FakeLedger) -> None:
    clock = Clock()
    buffer = CommitBuffer(ledger, 1000, 5.0, clock)
    refs = [ref("responses", shard) for shard in range(4)]
    buffer.add(refs[0])
    clock.now += 5.0
    buffer.add(refs[1])
    assert ledger.commits == []
    clock.now += 0.1
    buffer.add(refs[2])
    assert ledger.commits == [refs[:3]]
    clock.now += 5.0
    buffer.add(refs[3])
    assert ledger.commits == [refs[:3]], "its own time counts, not that of those before"


def test_without_limits_to_wait_for_every_shard_is_committed_at_once(ledger: FakeLedger) -> None:
    buffer = CommitBuffer(ledger, 0, 0.0)
    buffer.add(ref("examples", rows=0))
    assert len(ledger.commits) == 1


def test_a_judgement_is_never_committed_before_its_response(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loop import ledger as module
    from loop.records import Judgement, Response
    from loop.shards import write_shard

    ledger = Ledger(tmp_path)
    ledger.claim()
    made = {
        (table, shard): write_shard(tmp_path, table, 1, shard, [], row_type)
        for table, row_type in (("responses", Response), ("judgements", Judgement))
        for shard in range(3)
    }
    change, states = module.change, []

    def watched(*args: object, **keywords: object) -> None:
        change(*args, **keywords)  # type: ignore[arg-type]
        states.append({table: set(ledger.committed(table, 1)) for table in ("responses", "judgements")})

    monkeypatch.setattr(module, "change", watched)
    buffer = CommitBuffer(ledger, 1000, 1e9)
    buffer.add(made["responses", 0])
    buffer.flush()
    for key in (("judgements", 0), ("responses", 1), ("judgements", 1), ("responses", 2), ("judgements", 2)):
        buffer.add(made[key])
    buffer.flush()
    assert states[-1] == {"responses": {0, 1, 2}, "judgements": {0, 1, 2}}
    assert all(state["judgements"] <= state["responses"] for state in states)
    assert len(states) == 3, "one commit per table and flush"


def test_the_end_of_a_round_is_committed_after_all_of_it(ledger: FakeLedger) -> None:
    buffer = CommitBuffer(ledger, 1000, 1e9)
    arrived = ["rounds", "telemetry", "responses", "judgements", "examples", "policies", "rounds"]
    for shard, table in enumerate(arrived):
        buffer.add(ref(table, shard))
    buffer.flush()
    assert [r.table for r in ledger.commits[0]] == [
        *("responses", "judgements", "examples", "policies", "rounds", "rounds", "telemetry")
    ]
    assert [r.shard for r in ledger.commits[0] if r.table == "rounds"] == [0, 6], "within a table, as they came"


def test_shards_that_belong_together_are_one_commit_after_what_came_before(ledger: FakeLedger) -> None:
    buffer = CommitBuffer(ledger, 1000, 1e9)
    waiting, together = ref("examples"), [ref("anchors", 1), ref("anchors", 0)]
    buffer.add(waiting)
    buffer.add_together(together)
    assert ledger.commits == [[waiting], together]
    buffer.flush()
    assert ledger.commits == [[waiting], together]


@pytest.mark.parametrize("error", [StoreFailed("full"), Fenced("gone")])
def test_what_could_not_be_committed_stays(ledger: FakeLedger, error: Exception) -> None:
    buffer = CommitBuffer(ledger, 2, 1e9)
    refs = [ref("responses", shard) for shard in range(3)]
    buffer.add(refs[0])
    ledger.error = error
    with pytest.raises(type(error)):
        buffer.add(refs[1])
    ledger.error = None
    buffer.add(refs[2])
    assert ledger.commits == [refs]
