"""Rounds that look ahead: the next one begins where they began, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop.cadence import evaluates_in
from loop.lessons import beginnings, rounds_needed
from loop.records import PolicyVersion
from loop.view.closing import closing
from loop.view.text import plain
from tests.loop.resume_test import tables
from tests.loop.stub_fleets import Driven, composed, drive

SETTINGS = (
    "algorithm.look_ahead=true",
    "algorithm.others=[{policy: latest, as: opponent}]",
    "algorithm.anchors=[previous]",
    "rounds=4",
    "ledger.min_rows=3",
    "export.keep=1",
)
LOOKED = "This round looked ahead: the next one begins where it began."


def versions(*labels: str) -> list[PolicyVersion]:
    return [PolicyVersion.parse(label) for label in labels]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Driven]:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, drive(folder, *SETTINGS)


def test_engines_are_given_the_look_ahead_for_opponents_and_then_the_weights_before(
    whole: tuple[Path, Driven],
) -> None:
    _, driven = whole
    groups = ["generate:train", "judge", "aggregate", "pair", "anchor", "learn"]
    first = ["generate:opponent for drafts", *groups, "push:r3-s6", "export"]
    measured = ["generate:evaluate", "score", "kl", "export"]
    second = ["generate:opponent for drafts", "serve:r2-s3", *groups, "push:r4-s6", *measured]
    assert driven.fleets.calls[-len(first) - len(second) :] == [*first, *second]
    asked = [(r.round, r.purpose, r.policy) for r in driven.fleets.asked if r.round in (2, 3, 4)]
    assert [one for one in asked if one[1] != "evaluate"] == [
        (2, "opponent", "r1-s3"),
        (2, "train", "r0-s0"),
        (3, "opponent", "r2-s3"),
        (3, "train", "r2-s3"),
        (4, "opponent", "r3-s6"),
        (4, "train", "r2-s3"),
    ]


def test_learning_begins_and_anchors_stand_where_the_round_begins(whole: tuple[Path, Driven]) -> None:
    lessons = whole[1].fleets.lessons
    assert [one.start for one in lessons] == [0, 0, 2, 2]
    assert [str(one.policy) for one in lessons] == ["r0-s0", "r0-s0", "r2-s3", "r2-s3"]
    assert [one.serving[0].labels for one in lessons] == [("r0-s0",), ("r0-s0",), ("r2-s3",), ("r2-s3",)]


def test_a_round_that_looks_ahead_says_so_and_is_not_measured(whole: tuple[Path, Driven]) -> None:
    folder, driven = whole
    assert driven.summary is not None
    rounds = driven.summary.rounds
    assert [LOOKED in one.notes for one in rounds] == [True, False, True, False]
    assert [one.gold_score is None for one in rounds] == [True, False, True, False]
    assert [one.policy for one in rounds] == ["r1-s3", "r2-s3", "r3-s6", "r4-s6"]
    told = "\n".join(plain(line) for line in closing(driven.summary, folder, 100))
    assert "gold score" in told and LOOKED in driven.screen


def test_measuring_rounds_are_even_whatever_the_cadence() -> None:
    config = composed("algorithm.look_ahead=true", "rounds=6", "evaluate.every=3")
    assert [number for number in range(7) if evaluates_in(config, number)] == [0, 6]
    assert [number for number in range(7) if evaluates_in(composed("rounds=6"), number)] == [*range(7)]


def test_what_a_round_begins_with_is_kept() -> None:
    recipe = composed(*SETTINGS, "algorithm.anchors=[initial]", "algorithm.others=[]").algorithm
    began = beginnings(recipe, versions("r1-s3", "r2-s3", "r3-s6"))
    assert began == versions("r0-s0", "r0-s0", "r2-s3", "r2-s3")
    assert rounds_needed(recipe, 4, began) == {2}
    assert beginnings(composed().algorithm, versions("r1-s3", "r2-s6")) == versions("r0-s0", "r1-s3", "r2-s6")


@pytest.mark.parametrize(
    ("stub", "began"),
    [
        ({"empty": (2,)}, ["r0-s0", "r0-s0", "r0-s0", "r0-s0"]),
        ({"empty": (2, 4)}, ["r0-s0", "r0-s0", "r0-s0", "r0-s0"]),
        ({"empty": (3,)}, ["r0-s0", "r0-s0", "r2-s3", "r2-s3"]),
        ({"empty": (4,)}, ["r0-s0", "r0-s0", "r2-s3", "r2-s3"]),
        ({"skips_in": 2}, ["r0-s0", "r0-s0", "r0-s0", "r0-s0"]),
        ({"skips_in": 3}, ["r0-s0", "r0-s0", "r2-s3", "r2-s3"]),
    ],
)
def test_a_round_that_learns_nothing_leaves_everybody_where_it_began(
    stub: dict[str, object], began: list[str], tmp_path: Path
) -> None:
    driven = drive(tmp_path / "whole", *SETTINGS, **stub)
    assert driven.summary is not None
    asked = {r.round: r.policy for r in driven.fleets.asked if r.purpose == "train"}
    assert [asked[round] for round in (1, 2, 3, 4)] == began
    assert driven.fleets.present == driven.summary.last.policy
    assert driven.fleets.serves == driven.summary.last.policy
    lives = 0
    while drive(tmp_path / "cut", *SETTINGS, dies_at=9, **stub).summary is None:
        lives += 1
        assert lives < 60
    assert lives > 3 and tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_after_an_empty_round_learners_are_taken_up_where_the_next_one_begins(tmp_path: Path) -> None:
    long = (*SETTINGS, "rounds=6")
    calls = drive(tmp_path / "whole", *long, empty=(4,)).fleets.calls
    assert drive(tmp_path / "cut", *long, empty=(4,), dies_at=calls.index("push:r5-s6") - 6).summary is None
    again = drive(tmp_path / "cut", *long, empty=(4,)).fleets.calls
    assert again[:4] == ["meet", "restore", "rollback:r2-s3", "push:r2-s3"]
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_killed_anywhere_in_either_round_the_run_goes_on_to_the_same_tables(
    whole: tuple[Path, Driven], tmp_path: Path
) -> None:
    wanted, calls = tables(whole[0]), whole[1].fleets.calls
    third = calls.index("push:r2-s3")
    for at in range(third, len(calls), 3):
        here = tmp_path / str(at)
        assert drive(here, *SETTINGS, dies_at=at).summary is None
        assert drive(here, *SETTINGS).summary is not None
        assert tables(here) == wanted, f"killed at call {at}, {calls[at]}"
