"""The judge's own examples in a run: made in the first rounds, and the same wherever the run was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop.extent import PlannedPhase, planned_phases
from loop.recipe import learns_to_judge
from tests.loop.resume_test import tables
from tests.loop.stub_fleets import Driven, composed, drive

SETTINGS = (
    "judge=self",
    "judge.read=text",
    "judge.temperature=1",
    "judge.max_tokens=8",
    "algorithm.plan={name: all_pairs, repeats: 2}",
    "algorithm.judge_pairs.rounds=1",
    "rollout.shard_prompts=1",
    "ledger.min_rows=3",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Driven]:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, drive(folder, *SETTINGS)


def test_pairs_of_judgements_come_between_pairing_and_learning_in_the_first_rounds(whole: tuple[Path, Driven]) -> None:
    calls = whole[1].fleets.calls
    steps = [f"meta:{table}" for table in ("responses", "judgements", "examples") for _ in range(2)]
    at = calls.index(steps[0])
    assert calls[at - 1 : at + 8] == ["pair", *steps, "anchor", "learn"][: 1 + 8]
    assert calls.count("learn") == 2 and sum(one.startswith("meta") for one in calls) == len(steps)


def test_they_are_shards_behind_the_rounds_own_and_are_learnt_from(whole: tuple[Path, Driven]) -> None:
    folder, driven = whole
    first, second = driven.fleets.lessons
    for refs in (first.examples, first.responses):
        assert [ref.shard for ref in refs] == [0, 1, 2, 3]
    assert [ref.shard for ref in second.examples] == [0, 1]
    found = tables(folder)
    pairs = [one for one in found["examples"] if one["example_id"].startswith("meta")]
    judged = {one["response_id"]: one for one in found["responses"] if one["purpose"] == "judgement"}
    assert len(pairs) == 2 and all(set(one["response_ids"]) <= set(judged) for one in pairs)
    assert {one["parent"] for one in judged.values()} <= {one["response_id"] for one in found["responses"]}


def test_a_round_tells_how_many_there_are(whole: tuple[Path, Driven]) -> None:
    assert whole[1].summary is not None
    first, second = whole[1].summary.rounds
    told = "The judge learns, too: 2 pairs of its own judgements, from 2 comparisons of which 0 failed."
    assert told in first.notes and told not in second.notes


def test_killed_at_any_call_the_run_goes_on_to_the_same_tables(whole: tuple[Path, Driven], tmp_path: Path) -> None:
    folder, driven = whole
    wanted, calls = tables(folder), driven.fleets.calls
    begun = calls.index("meta:responses")
    for at in range(begun - 2, begun + 8):
        here = tmp_path / str(at)
        assert drive(here, *SETTINGS, dies_at=at).summary is None
        assert drive(here, *SETTINGS).summary is not None
        assert tables(here) == wanted, f"killed at call {at}, {calls[at]}"


def test_its_phases_are_planned() -> None:
    planned = planned_phases(composed(*SETTINGS), 1, {"test": 3})
    at = [one.phase for one in planned].index("pair")
    assert planned[at + 1 : at + 4] == [
        PlannedPhase("take judgements", "responses", 2, 2),
        PlannedPhase("meta-judge", "judgements", 2, 2),
        PlannedPhase("pair judgements", "examples", 2, 2),
    ]
    assert "meta-judge" not in {one.phase for one in planned_phases(composed(*SETTINGS), 2, {"test": 3})}


def test_a_control_run_makes_none() -> None:
    recipe = composed(*SETTINGS).algorithm
    assert [learns_to_judge(recipe, round) for round in (1, 2)] == [True, False]
    assert not learns_to_judge(composed(*SETTINGS, "algorithm.control=shuffled").algorithm, 1)
