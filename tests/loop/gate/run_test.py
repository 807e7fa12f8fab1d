"""Runs with a gate: what is worse is rolled back, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop.errors import Stopped
from loop.exports import BEST, export_folder
from loop.ledger import Ledger
from loop.summary import read_summary
from tests.loop.resume_test import tables, timeless
from tests.loop.stub_fleets import Driven, drive

SETTINGS = ("gate=tolerant", "rounds=4", "ledger.min_rows=3")
BAD = {"worse": (2, 3), "gate": 40}
"""Rounds 2 and 3 make the policy worse."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Driven]:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, drive(folder, *SETTINGS, **BAD)


def test_a_rejected_round_ends_with_the_incumbent_and_the_next_begins_there(whole: tuple[Path, Driven]) -> None:
    summary = whole[1].summary
    assert summary is not None
    assert [(one.candidate, one.policy) for one in summary.rounds] == [
        ("r1-s3", "r1-s3"),
        ("r2-s6", "r1-s3"),
        ("r3-s6", "r1-s3"),
        ("r4-s6", "r4-s6"),
    ]
    assert [one.gate and one.gate.decision for one in summary.rounds] == [
        "promoted",
        "rejected",
        "rejected",
        "promoted",
    ]
    trained = [(r.round, r.policy) for r in whole[1].fleets.asked if r.purpose == "train"]
    assert trained == [(1, "r0-s0"), (2, "r1-s3"), (3, "r1-s3"), (4, "r1-s3")]


def test_learners_and_engines_go_back_and_the_summary_says_so(whole: tuple[Path, Driven]) -> None:
    _, driven = whole
    calls = driven.fleets.calls
    back = calls.index("rollback:r1-s3")
    assert calls[back + 1] == "push:r1-s3" and calls[back - 1] == "kl"
    assert calls.count("rollback:r1-s3") == 2
    assert driven.summary is not None
    note = next(note for note in driven.summary.rounds[1].notes if "gate" in note)
    assert note.startswith("The gate rejected r2-s6") and note in driven.screen


def test_lessons_name_where_they_begin_and_what_must_stay(whole: tuple[Path, Driven]) -> None:
    lessons = whole[1].fleets.lessons
    assert [(one.start, one.incumbent, one.lr_factor) for one in lessons] == [
        (0, 0, 1),
        (1, 1, 1),
        (1, 1, 1),
        (1, 1, 1),
    ]


def test_after_a_rejection_steps_are_smaller_where_that_is_configured(tmp_path: Path) -> None:
    lessons = drive(tmp_path, *SETTINGS, "gate.shrink=0.5", **BAD).fleets.lessons
    assert [one.lr_factor for one in lessons] == [1.0, 1.0, 0.5, 0.25]


def test_only_promoted_policies_are_exported_and_best_is_the_incumbent(whole: tuple[Path, Driven]) -> None:
    folder, driven = whole
    exported = [number for number in range(1, 5) if export_folder(folder, number).is_dir()]
    assert exported == [1, 4]
    assert (folder / "checkpoints" / BEST).resolve() == export_folder(folder, 4).resolve()
    assert driven.fleets.calls.count("export") == 2


def test_at_the_end_the_best_promoted_policy_came_of_the_run(tmp_path: Path) -> None:
    whole = drive(tmp_path / "a", *SETTINGS, **BAD).summary
    assert whole is not None and whole.stands == "r4-s6" and whole.standing is whole.rounds[-1]
    fallen = drive(tmp_path / "b", *SETTINGS, "gate.tolerance=0.4", "rounds=2", gate=40, lose={2: 14}).summary
    assert fallen is not None and [one.policy for one in fallen.rounds] == ["r1-s3", "r2-s6"]
    assert fallen.stands == "r1-s3" and fallen.standing is fallen.rounds[0]
    assert (tmp_path / "b" / "checkpoints" / BEST).resolve() == export_folder(tmp_path / "b", 1).resolve()
    assert read_summary(tmp_path / "b").stands == "r1-s3"


def test_candidates_are_compared_with_incumbent_best_and_initial_policy(whole: tuple[Path, Driven]) -> None:
    summary = whole[1].summary
    assert summary is not None
    second, third = summary.rounds[1], summary.rounds[2]
    assert second.gate is not None and third.gate is not None
    told = [(c.against, c.version, c.prompts, c.win_rate) for c in second.gate.comparisons]
    assert told == [("incumbent", "r1-s3", 40, 0.0), ("initial", "r0-s0", 40, 0.0)]
    assert [(c.against, c.version, c.prompts) for c in third.versus] == [
        ("incumbent", "r1-s3", 3),
        ("best", "r1-s3", 3),
        ("initial", "r0-s0", 3),
    ]
    assert summary.rounds[0].gate is not None and summary.rounds[0].gate.comparisons[0].win_rate == 0.5


def test_the_gates_prompts_and_those_of_the_test_are_kept_apart(whole: tuple[Path, Driven]) -> None:
    ledger = Ledger(whole[0] / "ledger")
    for table, split in (
        ("gate_responses", "gate"),
        ("incumbent_responses", "gate"),
        ("evaluation_responses", "test"),
    ):
        ids = ledger.read(table, ["prompt_id"]).to_pydict()["prompt_id"]
        assert ids and all(one.startswith(split) for one in ids)


def test_killed_anywhere_the_run_goes_on_to_the_same_tables(whole: tuple[Path, Driven], tmp_path: Path) -> None:
    folder, driven = whole
    wanted, calls = tables(folder), driven.fleets.calls
    first = calls.index("push:r2-s6") - 2
    for at in range(first, len(calls), 2):
        here = tmp_path / str(at)
        assert drive(here, *SETTINGS, dies_at=at, **BAD).summary is None
        again = drive(here, *SETTINGS, **BAD)
        assert again.summary is not None and driven.summary is not None
        assert tables(here) == wanted, f"killed at call {at}, {calls[at]}"
        assert timeless(again.summary) == timeless(driven.summary)
        assert again.fleets.serves == again.fleets.present == "r4-s6"


def test_between_checkpoints_rejected_rounds_are_not_learnt_again(tmp_path: Path) -> None:
    calls = drive(tmp_path / "whole", *SETTINGS, **BAD).fleets.calls
    fourth = len(calls) - calls[::-1].index("learn") - 1
    drive(tmp_path / "cut", *SETTINGS, dies_at=fourth, **BAD)
    (tmp_path / "cut" / "learner.json").unlink()
    again = drive(tmp_path / "cut", *SETTINGS, **BAD)
    assert [lesson.round for lesson in again.fleets.lessons] == [1, 4]
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_after_as_many_rejections_as_configured_the_run_stops_and_says_why(tmp_path: Path) -> None:
    stub = {"worse": (1, 2, 3, 4, 5), "gate": 40}
    for _ in range(2):  # the same command stops again
        with pytest.raises(Stopped, match="rejected 3 candidates in a row: r0-s0 stands") as stopped:
            drive(tmp_path, *SETTINGS, "rounds=5", **stub)
        assert stopped.value.exit_code == 3
    assert [one.policy for one in read_summary(tmp_path).rounds] == ["r0-s0"] * 3
    assert not (tmp_path / "checkpoints" / "round-003").exists()
    more = drive(tmp_path, *SETTINGS, "rounds=5", "gate.max_rejections=9", **stub)
    assert more.summary is not None and len(more.summary.rounds) == 5 and more.fleets.serves == "r0-s0"


def test_the_gate_has_a_cadence_and_judges_all_that_came_since_the_incumbent(tmp_path: Path) -> None:
    driven = drive(tmp_path / "whole", *SETTINGS, "gate.every=2", "evaluate.every=4", **BAD)
    assert driven.summary is not None
    assert [(one.candidate, one.policy) for one in driven.summary.rounds] == [
        ("r1-s3", "r1-s3"),
        ("r2-s6", "r0-s0"),
        ("r3-s3", "r3-s3"),
        ("r4-s6", "r4-s6"),
    ]
    measured = sorted({(r.round, r.table) for r in driven.fleets.asked if r.purpose == "evaluate"})
    assert measured == [
        *((0, "evaluation_responses"), (0, "gate_responses"), (2, "gate_responses")),
        *((4, "evaluation_responses"), (4, "gate_responses")),
    ]
    lives = 0
    while drive(tmp_path / "cut", *SETTINGS, "gate.every=2", "evaluate.every=4", dies_at=11, **BAD).summary is None:
        lives += 1
        assert lives < 80
    assert lives > 3 and tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_answers_of_a_rejected_version_are_not_learnt_from_again(tmp_path: Path) -> None:
    replay = "algorithm.data={name: replay, first: 1.0, decay: 1.0}"
    lessons = drive(tmp_path, *SETTINGS, "gate.every=2", replay, **BAD).fleets.lessons
    assert [sorted({ref.round for ref in one.examples}) for one in lessons] == [[1], [1, 2], [1, 3], [1, 3, 4]]


def test_a_judge_that_only_compares_decides_by_comparisons(tmp_path: Path) -> None:
    comparing = ("+judge@evaluate.judge=pair_model", "evaluate.judge.model=anywhere")
    driven = drive(tmp_path, *SETTINGS, "judging=demo", *comparing, **BAD)
    assert driven.summary is not None
    assert [one.gate and one.gate.decision for one in driven.summary.rounds] == [
        "promoted",
        "rejected",
        "rejected",
        "promoted",
    ]
    assert all(one.gold_score is None for one in driven.summary.rounds)
    first = driven.summary.rounds[0].gate
    assert first is not None and [c.win_rate for c in first.comparisons] == [1.0, 1.0]
    asked = Ledger(tmp_path / "ledger").read("gate_comparisons", ["round", "response_ids"]).to_pydict()
    assert asked["round"].count(1) == 2 * 40  # three rivals, one and the same policy, both orders
    assert asked["round"].count(4) == 2 * 2 * 40


def test_who_was_promoted_answers_afresh_and_later_candidates_meet_these_answers(
    whole: tuple[Path, Driven], tmp_path: Path
) -> None:
    asked = [(r.round, r.table, r.policy) for r in whole[1].fleets.asked if r.purpose == "defend"]
    assert set(asked) == {(1, "incumbent_responses", "r1-s3")}, "there is no gate after the last round"
    lucky = drive(tmp_path, *SETTINGS, "rounds=2", gate=40, defends_with=0.0)
    assert lucky.summary is not None
    rates = [one.gate.comparisons[0].win_rate for one in lucky.summary.rounds if one.gate is not None]
    assert rates == [0.5, 1.0]


def test_a_round_that_learns_nothing_is_not_judged(tmp_path: Path) -> None:
    driven = drive(tmp_path, *SETTINGS, "rounds=2", empty=(2,), gate=40)
    assert driven.summary is not None
    assert driven.summary.rounds[1].gate is None and driven.summary.last.policy == "r1-s3"
