"""A run that is killed anywhere and started again comes to what an undisturbed one comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from loop.ledger import TABLES, Ledger
from loop.records import ShardRef
from loop.summary import RunSummary
from loop.tracking import NullTracker
from tests.loop.stub_fleets import Driven, Killed, drive

SETTINGS = ("rollout.shard_prompts=1", "ledger.min_rows=3")


def tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Everything but telemetry, in an order of its own."""
    ledger = Ledger(folder / "ledger")
    return {name: sorted(ledger.read(name).to_pylist(), key=repr) for name in TABLES if name != "telemetry"}


def to_the_end(folder: Path, *overrides: str) -> tuple[RunSummary, list[Driven]]:
    """Start the run again until it is finished."""
    driven = [drive(folder, *SETTINGS, *overrides)]
    assert driven[-1].summary is not None
    return driven[-1].summary, driven


def timeless(summary: RunSummary) -> list[dict[str, Any]]:
    """What a run came to, without times."""
    rounds = [one.to_json() for one in (summary.initial, *summary.rounds)]
    return [{**one, "seconds": None, "checkpoint": None} for one in rounds]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunSummary, int]:
    folder = tmp_path_factory.mktemp("undisturbed")
    driven = drive(folder, *SETTINGS)
    assert driven.summary is not None
    return folder, driven.summary, len(driven.fleets.calls)


def test_killed_at_any_call_the_run_goes_on_to_the_same_tables(
    undisturbed: tuple[Path, RunSummary, int], tmp_path: Path
) -> None:
    folder, summary, calls = undisturbed
    wanted = tables(folder)
    assert calls > 40
    for at in range(0, calls, 5):
        here = tmp_path / str(at)
        assert drive(here, *SETTINGS, dies_at=at).summary is None
        after, _ = to_the_end(here)
        assert tables(here) == wanted, f"killed at call {at}"
        assert timeless(after) == timeless(summary)


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_any_commit_the_run_goes_on_to_the_same_tables(
    undisturbed: tuple[Path, RunSummary, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    folder, summary, _ = undisturbed
    wanted, commit = tables(folder), Ledger.commit

    def dying(at: int) -> Callable[[Ledger, Sequence[ShardRef]], None]:
        left = [at]

        def commit_or_die(self: Ledger, refs: Sequence[ShardRef]) -> None:
            left[0] -= 1
            if left[0] < 0 and before:
                raise Killed("commit")
            commit(self, refs)
            if left[0] < 0:
                raise Killed("commit")

        return commit_or_die

    deaths = 0
    for at in range(1, 40, 3):  # the first one commits the prompts, before there is a run
        here = tmp_path / str(at)
        monkeypatch.setattr(Ledger, "commit", dying(at))
        first = drive(here, *SETTINGS)
        monkeypatch.setattr(Ledger, "commit", commit)
        if first.summary is not None:
            break
        deaths += 1
        after, _ = to_the_end(here)
        assert tables(here) == wanted, f"killed at commit {at}"
        assert timeless(after) == timeless(summary)
    assert deaths > 5


def test_killed_again_and_again_it_still_gets_there(undisturbed: tuple[Path, RunSummary, int], tmp_path: Path) -> None:
    folder, _, _ = undisturbed
    lives = 0
    while drive(tmp_path, *SETTINGS, dies_at=7).summary is None:
        lives += 1
        assert lives < 60
    assert lives > 5 and tables(tmp_path) == tables(folder)


def test_only_what_was_not_committed_is_asked_for_again(tmp_path: Path) -> None:
    drive(tmp_path, *SETTINGS, dies_at=12)
    done = {row["prompt_id"] for row in Ledger(tmp_path / "ledger").read("evaluation_responses").to_pylist()}
    assert done
    _, (second,) = to_the_end(tmp_path)
    first_round = [r for r in second.fleets.asked if r.round == 0]
    assert not done & {p for r in first_round for p in r.prompt_ids}


def test_weights_are_pushed_before_anything_is_sampled_after_a_restart(tmp_path: Path) -> None:
    whole = drive(tmp_path / "whole", *SETTINGS).fleets.calls
    drive(tmp_path / "cut", *SETTINGS, dies_at=whole.index("export") + 1)
    _, (second,) = to_the_end(tmp_path / "cut")
    assert second.fleets.calls[:3] == ["meet", "restore", "push:r1-s3"]
    assert "Going on" not in second.screen, "the caller tells"


def test_a_run_that_stopped_at_a_rounds_edge_trains_in_the_next_one(tmp_path: Path) -> None:
    whole = drive(tmp_path / "whole", *SETTINGS).fleets.calls
    edge = whole.index("export") + 1
    drive(tmp_path / "cut", *SETTINGS, dies_at=edge)
    summary, (second,) = to_the_end(tmp_path / "cut")
    assert summary.finished and summary.rounds[-1].steps == 3
    assert second.fleets.calls.count("learn") == 1


class Remembering(NullTracker):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.rounds: list[int] = []

    def round(self, summary: Any) -> None:
        self.rounds.append(summary.round)


def test_the_tracker_gets_every_round_over_restarts(undisturbed: tuple[Path, RunSummary, int], tmp_path: Path) -> None:
    _, _, calls = undisturbed
    for at in range(2, calls, 13):
        trackers = Remembering(), Remembering()
        drive(tmp_path / str(at), *SETTINGS, tracker=trackers[0], dies_at=at)
        drive(tmp_path / str(at), *SETTINGS, tracker=trackers[1])
        assert trackers[0].rounds == [0, 1, 2][: len(trackers[0].rounds)]
        assert trackers[1].rounds == [0, 1, 2], "closed rounds are told again, in order: it knows what it has"


def test_rounds_between_checkpoints_are_learnt_again_from_the_ledger(tmp_path: Path) -> None:
    whole = drive(tmp_path / "whole", *SETTINGS).fleets.calls
    second_learn = [at for at, call in enumerate(whole) if call == "learn"][1]
    drive(tmp_path / "cut", *SETTINGS, dies_at=second_learn)
    (tmp_path / "cut" / "learner.json").unlink()
    summary, (second,) = to_the_end(tmp_path / "cut")
    assert summary.finished and tables(tmp_path / "cut") == tables(tmp_path / "whole")
    assert [call for call in second.fleets.calls if call == "learn" or call.startswith("push")] == [
        "learn",
        "push:r1-s3",
        "learn",
        "push:r2-s6",
    ]


def damage(ref: ShardRef) -> None:
    """Change one byte of a shard's file."""
    content = bytearray(Path(ref.path).read_bytes())
    content[len(content) // 2] ^= 0xFF
    Path(ref.path).write_bytes(bytes(content))


def test_a_damaged_shard_of_the_open_round_is_made_again(tmp_path: Path) -> None:
    whole = drive(tmp_path / "whole", *SETTINGS).fleets.calls
    at = whole.index("learn")
    drive(tmp_path / "cut", *SETTINGS, dies_at=at)
    ledger = Ledger(tmp_path / "cut" / "ledger")
    damage(ledger.committed("responses", 1)[0])
    summary, (second,) = to_the_end(tmp_path / "cut")
    assert summary.finished and "made again" in second.screen
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_a_shard_found_damaged_after_learning_began_is_made_with_the_weights_before(tmp_path: Path) -> None:
    whole = drive(tmp_path / "whole", *SETTINGS).fleets.calls
    drive(tmp_path / "cut", *SETTINGS, dies_at=whole.index("push:r2-s6"))
    damage(Ledger(tmp_path / "cut" / "ledger").committed("responses", 2)[1])
    summary, (second,) = to_the_end(tmp_path / "cut")
    assert second.fleets.calls[:4] == ["meet", "restore", "rollback:r1-s3", "push:r1-s3"]
    assert summary.finished and tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_a_round_whose_steps_were_all_skipped_is_taken_up_with_the_weights_before(tmp_path: Path) -> None:
    whole = drive(tmp_path / "whole", *SETTINGS, skips_in=2)
    assert whole.summary is not None and whole.summary.rounds[-1].policy == "r1-s3"
    at = len(whole.fleets.calls) - 2
    assert drive(tmp_path / "cut", *SETTINGS, dies_at=at, skips_in=2).summary is None
    second = drive(tmp_path / "cut", *SETTINGS, skips_in=2)
    assert second.summary is not None and "push:r1-s3" in second.fleets.calls
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_weights_that_are_not_those_that_the_ledger_knows_are_told(tmp_path: Path) -> None:
    whole = drive(tmp_path / "whole", *SETTINGS).fleets.calls
    drive(tmp_path / "cut", *SETTINGS, dies_at=whole.index("export") + 1)
    assert "learnt again" not in drive(tmp_path / "cut", *SETTINGS, dies_at=3).screen
    assert "learnt again" in drive(tmp_path / "cut", *SETTINGS, other_weights=1).screen


def test_where_nothing_came_of_learning_anew_learners_go_back_to_the_policy(tmp_path: Path) -> None:
    anew = ("algorithm.start_from=initial", "algorithm.lr_schedule=per_round")
    driven = drive(tmp_path / "run", *anew, skips_in=2)
    assert driven.summary is not None and driven.summary.last.policy == "r1-s3"
    after = driven.fleets.calls.index("rollback:r1-s3")
    assert driven.fleets.calls[after - 1] == "learn" and "export" in driven.fleets.calls[after:]
