"""Checkpoints as folders: what counts as whole, which one is taken, which ones go."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loop.checkpoints import (
    MARKER,
    Marker,
    begin,
    find,
    name_of,
    names,
    part_of,
    publish,
    remove,
    superseded,
    verified,
    work_folder,
)
from loop.errors import Refused
from loop.learning import LearnReport, Progress, StepOutcome, report_of

GOOD = StepOutcome(6, (1.5, 0.1 + 0.2, 1.0, -0.25, 0.25, 2.0), 120, 0.7, (), 0.5)
BAD = StepOutcome(5, (math.inf, 0.0, 0.0, 0.0, 0.0, 0.0), 80, None, ("e1", "e2"), 0.25)


def progress_at(round: int, position: int, complete: bool) -> Progress:
    report = LearnReport(steps=position, bad_examples=("e1",), terms={"nll": 0.1}) if complete else None
    return Progress(round, "lesson", 4, (GOOD,) * position, 0, report)


def save(folder: Path, round: int, position: int = 4, complete: bool = True, identity: str = "mine") -> Marker:
    progress = progress_at(round, position, complete)
    begin(folder, name_of(progress))
    for rank in range(2):
        (work_folder(folder, name_of(progress)) / f"rank-{rank:03d}").write_text(f"{round} {position} {rank}")
    parts = tuple(part_of(file) for file in sorted(work_folder(folder, name_of(progress)).iterdir()))
    marker = Marker(identity, 2, 2, "float32", progress, parts)
    publish(folder, marker, lambda point: None)
    return marker


def test_a_marker_survives_its_file_to_the_last_bit() -> None:
    progress = Progress(3, "lesson", 9, (GOOD, BAD, GOOD), 1, loss_state={"mean": 0.1 + 0.2})
    for one in (progress, replace(progress, report=report_of(progress.outcomes, "pair", 1e-7))):
        marker = Marker("mine", 2, 3, "bfloat16", one, (part_of(Path(__file__)),))
        assert Marker.from_json(marker.to_json()) == marker


def test_the_newest_whole_checkpoint_is_found_first(tmp_path: Path) -> None:
    assert verified(tmp_path / "nothing", "mine") == (None, [])
    saved = [save(tmp_path, 2), save(tmp_path, 10, 3, complete=False), save(tmp_path, 10)]
    assert find(tmp_path) == saved[::-1]
    assert names(tmp_path) == ["round-000010-step-000004", "round-000010-step-000003", "round-000002-step-000004"]
    assert verified(tmp_path, "mine") == (saved[2], [])


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: (path / MARKER).unlink(), "it has no marker"),
        (lambda path: (path / MARKER).write_text("{"), "its marker cannot be read"),
        (lambda path: (path / MARKER).write_text('{"schema_version": 1, "progress": {}}'), "its marker cannot be read"),
        (lambda path: (path / "rank-001").unlink(), "rank-001 is missing"),
        (lambda path: (path / "rank-001").write_text("longer than it was"), "rank-001 has 18 bytes instead of 5"),
        (lambda path: (path / "rank-000").write_text("2 4 1"), "the digest of rank-000 differs from its marker's"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_sentence(
    tmp_path: Path, harm: Callable[[Path], object], told: str
) -> None:
    before, newest = save(tmp_path, 1), save(tmp_path, 2)
    harm(tmp_path / newest.name)
    found, (notice,) = verified(tmp_path, "mine")
    assert found == before
    assert notice.startswith(f"The learner checkpoint {newest.name} is damaged and was passed over: {told}")


def test_another_runs_or_another_programs_checkpoint_is_refused(tmp_path: Path) -> None:
    marker = save(tmp_path, 1, identity="theirs")
    with pytest.raises(Refused, match=r"is the learner checkpoint of another run \(theirs, this one is mine\)"):
        verified(tmp_path, "mine")
    file = tmp_path / marker.name / MARKER
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema_version": 2}))
    with pytest.raises(Refused, match="schema version 2, this program reads 1"):
        verified(tmp_path, "theirs")


def test_a_crash_before_the_rename_leaves_the_last_checkpoint_alone(tmp_path: Path) -> None:
    before = save(tmp_path, 1)

    class Crash(Exception):
        pass

    def crash(point: str) -> None:
        assert (point, names(tmp_path)) == ("checkpoint/marker", [before.name])
        raise Crash

    begin(tmp_path, "round-000002-step-000004")
    with pytest.raises(Crash):
        publish(tmp_path, Marker("mine", 0, 0, "", progress_at(2, 4, True), ()), crash)
    assert verified(tmp_path, "mine") == (before, [])
    assert len(list(tmp_path.iterdir())) == 2
    after = save(tmp_path, 2)
    assert find(tmp_path) == [after, before]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_checkpoint_that_was_damaged_is_replaced(tmp_path: Path) -> None:
    newest = save(tmp_path, 1)
    (tmp_path / newest.name / "rank-000").write_text("?")
    assert save(tmp_path, 1) == newest
    assert verified(tmp_path, "mine") == (newest, [])


def test_ends_of_rounds_stay_as_configured_and_what_is_inside_a_phase_goes(tmp_path: Path) -> None:
    for round in (1, 2, 3):
        save(tmp_path, round)
    save(tmp_path, 4, 2, complete=False)
    new = save(tmp_path, 4, 3, complete=False)
    assert set(superseded(tmp_path, new, 2)) == {"round-000004-step-000002", "round-000001-step-000004"}
    assert set(superseded(tmp_path, new, 1, (None, 1))) == {"round-000004-step-000002", "round-000002-step-000004"}
    remove(tmp_path, superseded(tmp_path, new, 1))
    assert names(tmp_path) == [new.name, "round-000003-step-000004"]
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_damaged_counts_for_nothing_and_goes(tmp_path: Path) -> None:
    for round in (1, 2, 3):
        save(tmp_path, round)
    (tmp_path / "round-000003-step-000004" / MARKER).unlink()
    (tmp_path / "round-000002-step-000004" / "rank-000").unlink()
    new = save(tmp_path, 2, 2, complete=False)
    assert set(superseded(tmp_path, new, 1)) == {"round-000003-step-000004", "round-000002-step-000004"}


def test_nothing_goes_while_the_new_checkpoint_is_not_whole(tmp_path: Path) -> None:
    save(tmp_path, 2, 3, complete=False)
    new = save(tmp_path, 2)
    (tmp_path / new.name / "rank-000").unlink()
    assert superseded(tmp_path, new, 1) == []


def test_what_a_rollback_left_behind_goes(tmp_path: Path) -> None:
    save(tmp_path, 1)
    rejected, new = save(tmp_path, 3), save(tmp_path, 2)
    assert superseded(tmp_path, new, 0) == [rejected.name]
