"""Every number of a round, of a step and of a sample has a name and an axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from loop.diagnostics.diagnostic import Diagnostic
from loop.pulse import FleetSnapshot, Reading
from loop.summary import RoundSummary
from loop.tracking.metrics import AXES, FIELDS, ROUND, SECONDS, STEP, round_metrics, sample_metrics, step_metrics
from tests.loop.tracking.kit import REPORT, full_round, gate


def numbers_in(value: Any) -> Iterator[float]:
    """All numbers in plain data."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from numbers_in(one)
    elif isinstance(value, int | float):
        yield value


def axis_of(name: str) -> str | None:
    """The axis of a metric."""
    named = [(axis, pattern) for axis, patterns in AXES.items() for pattern in patterns]
    return next((a for a, p in named if name == p or (p[-1] == "*" and name.startswith(p[:-1]))), None)


def test_every_number_of_a_round_is_tracked_once() -> None:
    one = full_round(3)
    texts = {"candidate", "checkpoint"}
    assert all(getattr(one, field.name) is not None for field in fields(one) if field.name not in texts)
    metrics = round_metrics(one)
    numbers = list(numbers_in(one.to_json()))
    assert len(set(numbers)) == len(numbers) > 40, "no two are the same, so each is found where it belongs"
    names = {value: name for name, value in metrics.items() if name.partition("/")[0] != "diagnostics_colour"}
    assert {*numbers} <= names.keys() and len({names[number] for number in numbers}) == len(numbers)
    assert {axis_of(name) for name in metrics} - {None} == {ROUND}
    assert [name for name in metrics if axis_of(name) is None] == [ROUND]


def test_names_follow_one_scheme() -> None:
    metrics = round_metrics(full_round(2, gate=gate("rejected")))
    assert (metrics["gate/promoted"], metrics["gate/bound"], metrics["gate/detectable"]) == (0, 1001.0, 1002.0)
    assert metrics["gate/win_rate_best"] == 1020.1 and metrics["gate/win_rate_incumbent_low"] == 1010.2
    assert metrics["versus/win_rate_initial_high"] == 22000.3 and metrics["versus/length_controlled_initial"] == 22000.4
    assert round_metrics(full_round(2))["gate/promoted"] == 1
    assert metrics["diagnostics/hacking"] == 2.375
    colours = {name: value for name, value in metrics.items() if name.startswith("diagnostics_colour/")}
    assert colours == {"diagnostics_colour/kl_growth": 0, "diagnostics_colour/hacking": 2}, "grey is no colour"
    amber = replace(full_round(2), diagnostics=[Diagnostic("x", 1.0, "amber", "")])
    assert round_metrics(amber)["diagnostics_colour/x"] == 1
    assert len({*FIELDS.values()}) == len(FIELDS)


def test_what_was_not_measured_is_left_out() -> None:
    bare = RoundSummary(round=0, policy="r0", gold_score=0.25, seconds={"evaluate": 1.0})
    metrics = round_metrics(bare)
    assert (metrics[ROUND], metrics["quality/gold_score"], metrics["seconds/evaluate"]) == (0, 0.25, 1.0)
    assert not {name for name in metrics if name.startswith(("gate/", "versus/")) or name == "learner/loss"}


def test_steps_are_counted_over_the_run_and_are_means() -> None:
    rows = list(step_metrics(2, 7, REPORT))
    assert [(row[STEP], row[ROUND], row["optimiser/skipped"]) for row in rows] == [(8, 2, 0), (9, 2, 1)]
    assert rows[0] == {
        STEP: 8,
        ROUND: 2,
        "optimiser/loss": 0.5,
        "optimiser/margin": 1.5,
        "optimiser/accuracy": 0.75,
        "optimiser/grad_norm": 0.7,
        "optimiser/seconds": 0.5,
        "optimiser/tokens": 120,
        "optimiser/examples": 4,
        "optimiser/skipped": 0,
    }
    assert {axis_of(name) for name in rows[0] if name not in (STEP, ROUND)} == {STEP}


def test_a_sample_has_what_was_made_since_the_one_before() -> None:
    before = Reading(totals={"answers": 100})
    fleets = (FleetSnapshot("engine", {"healthy": 1, "restarting": 1}, working=1, waiting=3),)
    now = Reading(fleets=fleets, totals={"answers": 160, "tokens": 900}, deaths=1, restarts=0)
    row = sample_metrics(now, before, 65.0, 5.0)
    assert row == {
        SECONDS: 65.0,
        "actors/engine_healthy": 1,
        "actors/engine_restarting": 1,
        "actors/deaths": 1,
        "actors/restarts": 0,
        "queue/engine_working": 1,
        "queue/engine_waiting": 3,
        "rates/answers_per_s": 12.0,
        "rates/tokens_per_s": 180.0,
    }
    assert {axis_of(name) for name in row if name != SECONDS} == {SECONDS}
