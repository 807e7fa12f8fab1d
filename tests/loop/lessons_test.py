"""What a round learns from: its own examples, those that come back, and what serves as anchors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loop.composition import compose
from loop.config import AlgorithmConfig
from loop.fleets import Lesson
from loop.lessons import examples_of, lesson_of, rounds_needed
from loop.records import Example, PolicyVersion, ShardRef
from loop.shards import write_shard
from tests.loop.factories import pair_example
from tests.loop.stub_fleets import drive

HISTORY = [PolicyVersion(0, 0), PolicyVersion(1, 4), PolicyVersion(2, 8), PolicyVersion(3, 12)]
DIGESTS = {str(version): f"digest of {version}" for version in HISTORY}


def recipe(*overrides: str) -> AlgorithmConfig:
    return compose(["experiment=demo", *overrides]).algorithm


def shards(folder: Path, rounds: int = 4, rows: int = 10) -> Callable[[str, int], list[ShardRef]]:
    """Every round but the second has ten examples."""
    made: dict[tuple[str, int], list[ShardRef]] = {}
    for round in range(1, rounds + 1):
        examples = [pair_example(f"{round}-{i}", f"a{i}", f"b{i}", round=round) for i in range(rows)]
        if round != 2:
            made["examples", round] = [write_shard(str(folder), "examples", round, 0, examples, Example)]
        made["responses", round] = [ShardRef("responses", round, 0, f"responses of {round}", 1, "", {})]
        made["anchors", round] = [ShardRef("anchors", round, 0, f"anchors of {round}", 1, "", {})]
    return lambda table, round: made.get((table, round), [])


def lesson(folder: Path, one: AlgorithmConfig, round: int = 4) -> Lesson:
    return lesson_of(one, round, shards(folder), HISTORY[:round], DIGESTS, "identity")


def test_by_default_a_round_learns_from_its_own_examples(tmp_path: Path) -> None:
    one = recipe()
    found = lesson(tmp_path, one)
    assert {ref.round for ref in (*found.examples, *found.responses, *found.anchors)} == {4} and found.known == []
    assert [example.round for example in examples_of(found, one, "identity")] == [4] * 10
    assert found.serving[0].labels == ("r3-s12",) and found.weights == {"r3-s12": "digest of r3-s12"}


def test_replayed_examples_come_behind_with_the_shards_that_they_name(tmp_path: Path) -> None:
    one = recipe("algorithm.data={name: replay, first: 0.4, decay: 0.5}")
    found = lesson(tmp_path, one)
    assert [ref.round for ref in found.responses] == [1, 3, 4] == [ref.round for ref in found.examples]
    assert [ref.round for ref in found.known] == [1, 3] and [ref.round for ref in found.anchors] == [4]
    rounds = [example.round for example in examples_of(found, one, "identity")]
    assert rounds == [4] * 10 + [1] * 1 + [3] * 4, "0.4 of the round before, 0.4 x 0.5 x 0.5 of that three back"
    assert found.rows == 10, "the round's own"
    assert examples_of(found, one, "identity") == examples_of(found, one, "identity")
    assert examples_of(found, one, "identity") != examples_of(found, one, "another run")


def test_all_examples_may_accumulate(tmp_path: Path) -> None:
    one = recipe("algorithm.data.name=accumulate")
    assert len(examples_of(lesson(tmp_path, one), one, "identity")) == 30


def test_the_largest_margins_may_be_kept_of_every_round(tmp_path: Path) -> None:
    one, made = recipe("algorithm.keep=0.5", "algorithm.data.name=accumulate"), shards(tmp_path / "even")
    rows = [pair_example(f"m{i}", "a", "b", margin=float(i), round=4) for i in range(10)]
    mine = [write_shard(str(tmp_path), "examples", 4, 0, rows, Example)]
    found = lesson_of(
        one, 4, lambda *of: mine if of == ("examples", 4) else made(*of), HISTORY[:4], DIGESTS, "identity"
    )
    ids = [example.example_id for example in examples_of(found, one, "identity")]
    assert ids[:5] == ["m5", "m6", "m7", "m8", "m9"] and len(ids) == 5 + 5 + 5


def test_the_rounds_whose_policies_anchors_may_ask_for_are_kept() -> None:
    assert rounds_needed(recipe(), 4, HISTORY) == {3}
    assert rounds_needed(recipe("algorithm.anchors=[initial]"), 4, HISTORY) == set()
    assert rounds_needed(recipe("algorithm.anchors=[{name: magnet, reset_every: 3}]"), 3, HISTORY[:3]) == set()
    assert rounds_needed(recipe("algorithm.anchors=[{name: magnet, reset_every: 2}]"), 4, HISTORY) == {2}
    assert rounds_needed(recipe("algorithm.anchors=[{name: random_past}]"), 4, HISTORY) == {1, 2, 3}


def test_a_run_that_goes_on_replays_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    overrides = ("rounds=4", "algorithm.data={name: replay, first: 1.0, decay: 0.0}")
    whole = drive(tmp_path / "whole", *overrides)
    assert whole.summary is not None and whole.summary.finished
    seen = [[ref.round for ref in one.responses] for one in whole.fleets.lessons]
    assert [sorted(set(rounds)) for rounds in seen] == [[1], [1, 2], [2, 3], [3, 4]]
    calls = len(whole.fleets.calls)
    for dies_at in range(calls // 2, calls, 7):
        folder = tmp_path / str(dies_at)
        drive(folder, *overrides, dies_at=dies_at)
        again = drive(folder, *overrides)
        assert again.summary is not None and again.summary.finished
        last, expected = again.fleets.lessons[-1:], whole.fleets.lessons[-1]
        for one in last:
            assert [replace(ref, path="") for ref in one.responses] == [replace(r, path="") for r in expected.responses]
