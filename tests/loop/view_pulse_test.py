"""The pulse as lines: what is shown, what is left out where it is narrow, and where the views show it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from loop.fleet_actor import Health
from loop.gate.result import GateResult
from loop.learning import LearnReport
from loop.pulse import FleetSnapshot, Pulse, Reading
from loop.records import ShardRef, Telemetry
from loop.view.plain import PlainView
from loop.view.pulse_lines import pulse_lines
from loop.view.table import GATE, RUNNING, fitting, gated, header, row, width_of
from loop.view.text import Line, plain
from tests.loop.view_rounds import FIRST, INITIAL
from tests.loop.view_test import ANSI, Clock, drawn

REJECTED = GateResult("rejected", "r1-s4", "r0-s0", "too few wins", 0.48, 0.05, 0.5)
WELL = (
    FleetSnapshot("engine", {"healthy": 2}, working=2, waiting=3),
    FleetSnapshot("judge", {"suspect": 1}),
    FleetSnapshot("learner", {"healthy": 2}),
)
BUSY = Reading(
    fleets=WELL,
    rates={"answers": 123.4, "tokens": 1840.0, "judgements": 0.5},
    loss=0.4123,
    step_rate=2.75,
    deaths=2,
    restarts=1,
    last=replace(FIRST, gate=REJECTED),
)


def texts(lines: Sequence[Line]) -> list[str]:
    return [plain(line) for line in lines]


def test_actors_and_work_are_a_line_each() -> None:
    assert texts(pulse_lines(BUSY, 200)) == [
        "engines 2 · judges 1 suspect · learners 2 · queue 3 · 2 died, 1 restarted · round 1 gold 65.0% · rejected",
        "123 answers/s · 1,840 tokens/s · 0.50 judgements/s · 2.75 steps/s, loss 0.412",
    ]
    assert pulse_lines(Reading(), 200) == []
    starting = Reading(fleets=(FleetSnapshot("engine", {"starting": 1, "healthy": 1}),))
    assert texts(pulse_lines(starting, 80)) == ["engines 1 healthy 1 starting"]
    assert texts(pulse_lines(Reading(fleets=(FleetSnapshot("judge", {}),)), 80)) == ["judges none"]


def test_what_is_wrong_with_actors_draws_attention() -> None:
    tones = {text.strip(): tone for line in pulse_lines(BUSY, 200) for text, tone in line}
    assert tones["2"] == "" and tones["1 suspect"] == "attention"
    assert tones["2 died, 1 restarted"] == tones["rejected"] == "attention"
    for health in Health:
        (line,) = pulse_lines(Reading(fleets=(FleetSnapshot("engine", {str(health): 1}),)), 80)
        assert ("attention" in [tone for _, tone in line]) is (health is not Health.healthy)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    full, lines = texts(pulse_lines(BUSY, 500)), texts(pulse_lines(BUSY, width))
    assert all(len(line) <= width for line in lines)
    for line in lines:
        assert any(whole.startswith(line) for whole in full), "parts are left out from the end, none is cut"


def pulse(clock: Clock) -> Pulse:
    """The pulse of a run in its second round."""
    made = Pulse(clock)
    for one in WELL:
        made.fleet(one)
    made.phases(["generate"])
    made.made("generate", ShardRef("responses", 2, 0, "", 10, "", {"tokens": 80.0}))
    made.learnt(LearnReport(steps=1, loss=0.5, seconds=0.5))
    made.happened(Telemetry(1, "generate", "died", 0.0))
    clock.now += 4.0
    return made


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_draws_it_under_the_bars_until_the_end(width: int) -> None:
    view, file = drawn(width)
    view.live(pulse(Clock()))
    with view.phase(2, "generate", 4, "answers") as phase:
        phase.advance(1)
    frame = re.split(r"\x1b\[2K", file.getvalue())[-1]
    shown = [line.rstrip() for line in ANSI.sub("", frame).replace("\r", "").split("\n")]
    at = next(i for i, line in enumerate(shown) if line.startswith("engines 2 · judges 1 suspect"))
    assert "round 2  generate" in shown[at - 1]
    assert shown[at + 1].startswith("2.50 answers/s · 20.0 tokens/s · 2.00 steps/s, loss 0.500")
    assert all(len(line) < width for line in shown)
    view.close()
    assert "engines" not in ANSI.sub("", re.split(r"\x1b\[2K", file.getvalue())[-1])


def test_plain_lines_have_it_beside_the_progress() -> None:
    file, now = io.StringIO(), Clock()
    view = PlainView(file, 80, now)
    view.live(pulse(Clock()))
    with view.phase(2, "generate", 9, "answers") as phase:
        now.now += 1.0
        phase.advance(1)
        now.now += 10.0
        phase.advance(1)
    assert file.getvalue().splitlines()[1:4] == [
        "round 2  generate  2/9 answers  0.18/s  11.0 s",
        "  engines 2 · judges 1 suspect · learners 2 · queue 3 · 1 died, 0 restarted",
        "  2.50 answers/s · 20.0 tokens/s · 2.00 steps/s, loss 0.500",
    ]


@pytest.mark.parametrize("width", [200, 100, 80, 60])
def test_a_row_tells_the_gates_decision_in_a_word(width: int) -> None:
    asked = replace(FIRST, gate=REJECTED)
    columns = fitting(gated(RUNNING, asked), width)
    assert width_of(columns) <= max(width, 65)
    assert plain(header(columns)[-1]).split()[:4] == ["round", "gold", "change", "gate"]
    assert plain(row(columns, asked, INITIAL)).split()[3] == "rejected"
    assert (
        plain(row(columns, replace(FIRST, gate=replace(REJECTED, decision="promoted")), INITIAL)).split()[3]
        == "promoted"
    )
    assert plain(row(columns, FIRST, INITIAL)).split()[3] == "-"


def test_the_gates_column_comes_with_its_first_decision_and_stays() -> None:
    view, file = drawn(80, no_color=True)
    for one in (INITIAL, replace(FIRST, gate=REJECTED), replace(FIRST, round=2)):
        view.round_done(one, INITIAL)
    shown = ANSI.sub("", file.getvalue())
    heads = [line.split() for line in shown.splitlines() if line.split()[:1] == ["round"]]
    assert len(heads) == 2 and "gate" not in heads[0] and "gate" in heads[1]
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert GATE not in fitting(gated(RUNNING, INITIAL), 80)
