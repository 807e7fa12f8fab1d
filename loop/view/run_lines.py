"""A run as `ratchet inspect` shows it: how it stands, its rounds, the open one's phases, what befell it, its files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime

from loop.extent import PhaseState
from loop.inspecting import RoundState, RunInspection
from loop.view.table import CHANGE_TONES, change_of, gain_of, gate_span, wall_seconds
from loop.view.text import (
    NOTHING,
    Line,
    Span,
    Tone,
    count,
    duration,
    labelled,
    percent,
    points,
    seconds,
    visible,
    wrapped,
)

GATE = ("gate", 8)
HEADER = ("round", "policy", "gold", "95% interval", "change", "answers", "data", "died", "restarted", "time")
WIDTHS = (5, 10, 5, 13, 6, 7, 5, 4, 9, 4)
EXTENT_TONES: dict[str, Tone] = {"complete": "good", "under way": "", "begun": "attention"}
RESUME = "; ratchet resume {} goes on with it"
UNITS = ("B", "kB", "MB", "GB", "TB")


def run_lines(run: RunInspection, width: int, now: float) -> list[Line]:
    """All lines; `now` is seconds since 1970."""
    blank: Line = ()
    lines = [_headline(run, now), *_reason(run, width), blank, *_facts(run, width), blank]
    gated = any(one.summary.gate is not None for one in run.rounds if one.summary)
    lines += [_heading(gated), *(_round(one, run.rounds[0], gated) for one in run.rounds if one.summary), blank]
    for one in run.rounds:
        if one.state == "under way":
            lines += [*_phases(one, run.state in ("running", "starting"), width), blank]
    lines += _events(run, width)
    return lines + labelled(_files(run), width)


def _headline(run: RunInspection, now: float) -> Line:
    status, at = run.status, f"round {run.status.round} of {run.rounds_planned}" if run.status else ""
    phases = f", {' and '.join(run.status.phases)}" if run.status and run.status.phases else ""
    told: dict[str, tuple[str, Tone]] = {
        "not begun": ("not begun", "dim"),
        "starting": (f"a driver is starting (process {run.locked_by})", ""),
        "finished": (f"finished: {counted(run.rounds_planned, 'round')}", "good"),
        "died": (f"died in {at}{phases}{RESUME.format(run.run)}", "attention"),
        "interrupted": (f"interrupted in {at}{RESUME.format(run.run)}", "attention"),
        "failed": (f"failed in {at}{RESUME.format(run.run)}", "attention"),
        "stopped": (f"stopped in {at}", "attention"),
    }
    if status is not None:
        since = duration(max(0.0, now - status.since))
        told["running"] = (f"running: {at}{phases} for {since}", "good")
    return ((visible(run.run), "strong"), ("  ", ""), told[run.state])


def _reason(run: RunInspection, width: int) -> list[Line]:
    if run.stopped_because is None or run.state in ("running", "starting", "finished"):
        return []
    return [((part, "attention"),) for part in wrapped(visible(run.stopped_because), width)]


def _facts(run: RunInspection, width: int) -> list[Line]:
    rows = [
        ("recipe", f"{run.algorithm} with judge {run.judge}, seed {run.seed}"),
        ("model", run.model),
        ("identity", run.identity),
        ("folder", run.folder),
    ]
    if run.parent is not None:
        rows.insert(2, ("forked from", run.parent))
    if run.store != os.path.join(run.folder, "ledger"):
        rows.append(("ledger", run.store))
    if run.status is not None:
        rows.append(
            ("driver", f"process {run.status.pid} on {run.status.host}, driver {run.status.driver_epoch} of this run")
        )
    return labelled(rows, width)


def _heading(gated: bool) -> Line:
    names = [*HEADER, GATE[0]] if gated else HEADER
    return tuple(_aligned([(text, "dim") for text in names]))


def _round(one: RoundState, first: RoundState, gated: bool) -> Line:
    summary, initial = one.summary, first.summary
    assert summary is not None and initial is not None
    low, high = summary.gold_low, summary.gold_high
    change = CHANGE_TONES[change_of(summary, initial)]
    trained = summary.responses > 0
    cells: list[Span] = [
        (str(one.round), ""),
        (visible(summary.policy), ""),
        (percent(summary.gold_score), "strong"),
        (NOTHING if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}", ""),
        (points(gain_of(summary, initial)), change),
        (count(summary.responses) if trained else NOTHING, ""),
        (count(summary.examples) if trained else NOTHING, ""),
        _happened(one.events, "died"),
        _happened(one.events, "restarted"),
        (seconds(wall_seconds(summary)), ""),
        *([gate_span(summary.gate)] if gated else []),
    ]
    return tuple(_aligned(cells))


def _happened(events: Mapping[str, int], event: str) -> Span:
    return (count(events[event]), "attention") if event in events else (NOTHING, "dim")


def _aligned(cells: Sequence[Span]) -> list[Span]:
    return [
        (("" if at == 0 else "  ") + text.rjust(size), tone if text != NOTHING else "dim")
        for at, ((text, tone), size) in enumerate(zip(cells, (*WIDTHS, GATE[1]), strict=False))
    ]


def _phases(one: RoundState, lives: bool, width: int) -> list[Line]:
    """The open round's phases: a line for each that has begun, one line for all the others."""
    lines: list[Line] = [((f"round {one.round} is {'under way' if lives else 'not complete'}", "strong"),)]
    for phase in one.phases:
        if phase.state != "not begun":
            state = "begun" if phase.state == "under way" and not lives else phase.state
            lines.append(((f"  {phase.phase:<9} ", ""), (f"{state:<10} ", EXTENT_TONES[state]), (_shards(phase), "")))
    if waiting := [phase.phase for phase in one.phases if phase.state == "not begun"]:
        lines += [((f"  {part}", "dim"),) for part in wrapped(f"not begun: {', '.join(waiting)}", width - 2)]
    return lines


def _shards(phase: PhaseState) -> str:
    """How many shards and which, and how many rows they have."""
    if not phase.shards:
        return f"none of {phase.of} shards" if phase.of is not None else ""
    if phase.state == "complete":
        text = counted(len(phase.shards), "shard")
    else:
        text = f"{len(phase.shards)} of {phase.of if phase.of is not None else '?'} shards: {ranges(phase.shards)}"
    return f"{text}, {counted(phase.rows, 'row')}"


def counted(n: int, what: str) -> str:
    """A number of things, as 1 row or 1,024 rows."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def ranges(numbers: Sequence[int]) -> str:
    """Whole numbers in order, runs of them shortened, as 0-3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _events(run: RunInspection, width: int) -> list[Line]:
    """What befell the actors: counts, then the newest events."""
    if not run.events:
        return []
    counts = ", ".join(f"{event} {n}" for event, n in run.events.items())
    lines: list[Line] = [(("what befell the actors: ", "dim"), (visible(counts), "attention"))]
    rows = []
    for one in run.happenings:
        when = datetime.fromtimestamp(one.at).strftime("%Y-%m-%d %H:%M:%S")
        told = f"round {one.round} {one.phase}: {one.actor or 'the driver'} {one.event}"
        rows.append((f"  {when}", f"{told}: {one.detail}" if one.detail else told))
    return [*lines, *labelled(rows, width), ()]


def _files(run: RunInspection) -> list[tuple[str, str]]:
    rows = []
    if run.exports:
        word = "round" if len(run.exports) == 1 else "rounds"
        rounds = ranges([one.round for one in run.exports])
        rows.append(("exported", f"{word} {rounds}, {size(sum(one.bytes for one in run.exports))}"))
    for one in run.checkpoints:
        where = f"after step {one.position} of {one.steps}, {size(one.bytes)}"
        rows.append(("learners", f"round {one.round} {where}"))
    return rows


def size(n: int) -> str:
    """Bytes in words, as 512 B, 2.5 MB or 141 GB."""
    value, unit = float(n), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.{1 if unit and value < 9.95 else 0}f} {UNITS[unit]}"
