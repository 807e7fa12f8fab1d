"""The pulse of a run on one or two lines that never wrap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loop.fleet_actor import Health
from loop.pulse import STARTING, FleetSnapshot, Reading
from loop.view.table import gate_span
from loop.view.text import Line, Span, count, number, percent, rate, visible

BETWEEN: Span = (" · ", "dim")
CALM = (Health.healthy, STARTING)
UNITS = ("answers", "tokens", "judgements")


def pulse_lines(reading: Reading, width: int) -> list[Line]:
    """How the run stands, and how fast it goes: at most a line each, which leaves out from its end what does not
    fit."""
    parts = (list(_stands(reading)), list(_work(reading)))
    return [line for some in parts if (line := _fitting(some, width))]


def _stands(reading: Reading) -> Iterator[Sequence[Span]]:
    for fleet in reading.fleets:
        yield _fleet(fleet)
    if waiting := sum(fleet.waiting for fleet in reading.fleets):
        yield [("queue ", "dim"), (count(waiting), "")]
    if deaths := _deaths(reading):
        yield deaths
    if (last := reading.last) is not None:
        if last.gold_score is not None:
            yield [(f"round {last.round} gold ", "dim"), (percent(last.gold_score), "strong")]
        if last.gate is not None:
            yield [gate_span(last.gate)]


def _fleet(fleet: FleetSnapshot) -> list[Span]:
    """As `engines 2`, or `engines 1 healthy 1 dead` where not all are healthy."""
    if [*fleet.health] == [Health.healthy]:
        return [(f"{visible(fleet.noun)}s ", "dim"), (str(fleet.health[Health.healthy]), "")]
    told = sorted(fleet.health.items(), key=lambda one: (one[0] not in CALM, one[0]))
    words: list[Span] = [(f" {number} {health}", "" if health in CALM else "attention") for health, number in told]
    return [(f"{visible(fleet.noun)}s", "dim"), *(words or [(" none", "attention")])]


def _deaths(reading: Reading) -> list[Span]:
    if not reading.deaths:
        return []
    return [(f"{count(reading.deaths)} died, {count(reading.restarts)} restarted", "attention")]


def _work(reading: Reading) -> Iterator[Sequence[Span]]:
    for unit in UNITS:
        if made := reading.rates.get(unit):
            yield [(f"{rate(made).removesuffix('/s')} {unit}/s", "")]
    if reading.loss is not None:
        steps: list[Span] = (
            [(f"{rate(reading.step_rate).removesuffix('/s')} steps/s, ", "")] if reading.step_rate else []
        )
        yield [*steps, ("loss ", "dim"), (number(reading.loss), "")]


def _fitting(parts: Sequence[Sequence[Span]], width: int) -> Line:
    """The parts that fit, in order."""
    line: list[Span] = []
    for part in parts:
        longer = [*line, *([BETWEEN] if line else []), *part]
        if sum(len(text) for text, _ in longer) > width:
            break
        line = longer
    return tuple(line)
