"""When a round is diagnosed, and what of it stands in summary and ledger."""

from __future__ import annotations

import json
from pathlib import Path

from loop.config import RunConfig
from loop.identity import meaning
from loop.ledger import Ledger
from tests.loop.stub_fleets import Driven, composed, drive


def told(driven: Driven) -> list[dict[str, str]]:
    """The colour of each diagnostic, round by round."""
    assert driven.summary is not None
    rounds = [driven.summary.initial, *driven.summary.rounds]
    return [{one.name: one.colour for one in summary.diagnostics} for summary in rounds]


def test_every_round_is_diagnosed_after_it_was_learnt_and_evaluated(tmp_path: Path) -> None:
    """In the stubs every answer is right, learners fall in with the round, and the judge likes the first answer."""
    driven = drive(tmp_path)
    assert driven.fleets.probed == [(0, 0, 1, 32), (1, 1, 1, 32), (2, 1, 1, 32)], "with answers of the same round"
    initial, first, second = told(driven)
    assert initial["gold_score"] == initial["answer_length"] == "grey" and "chosen_change" not in initial
    assert (first["gold_score"], first["chosen_change"], first["answer_length"]) == ("green", "green", "green")
    assert (first["judge_score"], second["judge_score"]) == ("grey", "green")
    assert driven.summary is not None and driven.summary.rounds[1].diagnostics
    rows = sorted(Ledger(tmp_path / "ledger").read("rounds").to_pylist(), key=lambda row: row["round"])
    for row, summary in zip(rows[1:], driven.summary.rounds, strict=True):
        assert json.loads(row["summary"])["diagnostics"] == summary.to_json()["diagnostics"]


def test_diagnoses_have_a_cadence_of_their_own(tmp_path: Path) -> None:
    driven = drive(tmp_path / "a", "rounds=3", "diagnostics.every=2")
    assert [bool(one) for one in told(driven)] == [True, False, True, True]
    never = drive(tmp_path / "b", "diagnostics.every=0")
    assert not any(told(never)) and not never.fleets.probed


def test_without_a_probe_the_rounds_shards_still_tell(tmp_path: Path) -> None:
    driven = drive(tmp_path, "diagnostics.probe=0")
    assert not driven.fleets.probed
    assert "gold_score" in told(driven)[1] and "chosen_change" not in told(driven)[1]


def test_what_is_measured_is_no_part_of_what_a_run_is() -> None:
    config: RunConfig = composed()
    other = composed("diagnostics.probe=4", "diagnostics.every=3")
    assert meaning(config) == meaning(other) and config.diagnostics != other.diagnostics
