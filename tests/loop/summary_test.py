"""Summaries survive the file, intervals agree with published ones, and a broken number is named where it appears."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.errors import Refused
from loop.summary import RoundSummary, RunSummary, read_summary, wilson, write_summary

ROUND = RoundSummary(
    round=1,
    policy="r1-s4-abc",
    gold_score=0.625,
    gold_low=0.5,
    gold_high=0.75,
    examples=12,
    loss=0.6,
    notes=["a note with ü and \\ in it"],
    seconds={"generate": 1.5},
    checkpoint="checkpoints/round-000001",
)
RUN = RunSummary(
    run="demo-dpo-verifier-12345678",
    identity="1" * 32,
    experiment="demo",
    algorithm="dpo",
    judge="verifier",
    model="tiny",
    seed=3,
    finished=True,
    initial=RoundSummary(round=0, policy="r0-s0-def", gold_score=0.25),
    rounds=[ROUND],
    seconds_total=60.0,
    versions={"torch": "2"},
    prompts={"pool": 100},
)


def test_a_run_survives_the_file(tmp_path: Path) -> None:
    path = write_summary(tmp_path, RUN)
    assert path == tmp_path / "summary.json"
    assert read_summary(tmp_path) == RUN
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]


def test_the_file_has_the_documented_fields(tmp_path: Path) -> None:
    values = json.loads(write_summary(tmp_path, RUN).read_text(encoding="utf-8"))
    assert values["schema_version"] == 2
    assert values["initial"]["gold_score"] == 0.25
    assert values["rounds"][0]["gold_score"] == 0.625


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_summary(tmp_path, RUN)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_summary(tmp_path, replace(RUN, seconds_total=float("nan")))
    assert read_summary(tmp_path) == RUN


def test_another_schema_is_refused(tmp_path: Path) -> None:
    write_summary(tmp_path, replace(RUN, schema_version=3))
    with pytest.raises(Refused, match="schema version 3"):
        read_summary(tmp_path)


def test_a_folder_without_a_summary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not exist"):
        read_summary(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(ValueError, match="kl of round 2 is not finite"):
        RoundSummary(round=2, policy="p", kl=value)
    with pytest.raises(ValueError, match="learn of round 2 is not finite"):
        RoundSummary(round=2, policy="p", seconds={"learn": value})


def test_the_last_round_of_an_untrained_run_is_the_initial_one() -> None:
    assert RUN.last == ROUND
    assert replace(RUN, rounds=[]).last == RUN.initial


def test_wilson_by_hand() -> None:
    """n = 100, p = 1/2, z = 1.96: centre 1/2; half = 1.96 sqrt(0.0025 + 0.000096) / 1.0384 = 0.0962."""
    low, high = wilson(50, 100)
    assert low == pytest.approx(0.4038, abs=1e-4)
    assert high == pytest.approx(0.5962, abs=1e-4)


def test_wilson_at_the_edges() -> None:
    """No success among ten: low 0, high z^2 / (n + z^2) = 3.8415 / 13.8415 = 0.2775."""
    low, high = wilson(0, 10)
    assert low == pytest.approx(0.0, abs=1e-12)
    assert high == pytest.approx(0.2775, abs=1e-4)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_not_a_share(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="no interval"):
        wilson(successes, n)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(case: tuple[int, int]) -> None:
    successes, n = case
    low, high = wilson(successes, n)
    assert 0.0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1.0
    other_low, other_high = wilson(n - successes, n)
    assert other_low == pytest.approx(1.0 - high, abs=1e-9)
    assert other_high == pytest.approx(1.0 - low, abs=1e-9)
