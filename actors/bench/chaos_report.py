"""What `ratchet bench chaos` found, as lines for people and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from actors.bench.chaos_check import Count, Difference
from actors.bench.chaos_deaths import Noticed
from actors.bench.chaos_plan import ACTORS, POINTS
from actors.bench.chaos_run import Disturbed, Start
from loop.view.text import NOTHING, Line, Span, duration, labelled, short_number, visible, wrapped

MISSED = "no such moment came"
NOT_ASKED = "not asked for: --kills 0 fills every cell"


@dataclass(frozen=True)
class Report:
    """Both runs, compared. `noticed` goes with the kills; `digest` is that of all rows but telemetry; `machine` holds
    cores, load averages and versions."""

    seed: int
    rounds: int
    folder: str
    disturbed: Disturbed
    noticed: list[Noticed]
    unexplained: list[str]
    counts: dict[str, Count]
    differences: list[Difference]
    digest: str
    seconds: dict[str, float]
    machine: dict[str, Any]

    @property
    def faults(self) -> list[str]:
        """What is not as it has to be, as sentences; none when everything holds."""
        told = [*self.disturbed.failures]
        told += [] if self.disturbed.finished else ["the disturbed run did not finish"]
        for name, count in self.counts.items():
            if not count.right:
                told.append(
                    f"{name}: {count.duplicates} duplicates, {count.gaps} gaps, {count.strays} that belong nowhere"
                )
        told += [f"not as undisturbed: {difference}" for difference in self.differences]
        told += [f"a death that no kill explains: {one}" for one in self.unexplained]
        for kill, seen in zip(self.disturbed.kills, self.noticed, strict=True):
            if seen.how == "unnoticed":
                when = f"{kill.phase} of round {kill.round}"
                told.append(f"telemetry does not tell of {kill.actor} {kill.pid}, killed in {when}")
        return told

    @property
    def cells(self) -> dict[str, dict[str, int | str]]:
        """Phase and actor: the number of kills, or the reason why there is none."""
        done = [(kill.phase, kill.actor) for kill in self.disturbed.kills]
        wanted = {(strike.phase, strike.actor) for strike in self.disturbed.missed}
        return {
            phase: {
                actor: done.count((phase, actor)) or (MISSED if (phase, actor) in wanted else NOT_ASKED)
                for actor in ACTORS
            }
            for phase in POINTS
        }

    @property
    def lost(self) -> dict[str, dict[str, float | None]]:
        """For each kind of process the median seconds until the run went on, and until the process was back."""
        pairs = list(zip(self.disturbed.kills, self.noticed, strict=True))
        return {
            actor: {
                "goes_on_s": _median([kill.goes_on_s for kill, _ in pairs if kill.actor == actor]),
                "back_s": _median([seen.back_s for kill, seen in pairs if kill.actor == actor]),
            }
            for actor in ACTORS
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        kills = [
            {name: value for name, value in asdict(kill).items() if name not in ("alive", "watched")}
            | {"telemetry": seen.how, "back_s": seen.back_s}
            for kill, seen in zip(self.disturbed.kills, self.noticed, strict=True)
        ]
        return {
            "holds": not self.faults,
            "faults": self.faults,
            "seed": self.seed,
            "rounds": self.rounds,
            "folder": self.folder,
            "kills": kills,
            "cells": self.cells,
            "starts": [asdict(start) for start in self.disturbed.starts],
            "restarts": len(self.disturbed.starts) - 1,
            "rows": {name: count.rows for name, count in self.counts.items()},
            "duplicates": sum(count.duplicates for count in self.counts.values()),
            "gaps": sum(count.gaps for count in self.counts.values()),
            "equal": not self.differences,
            "digest": self.digest,
            "lost": self.lost,
            "seconds": self.seconds,
            "machine": self.machine,
        }


def report_lines(report: Report, width: int) -> list[Line]:
    """All lines, in order: outcome, table of phases and actors, every kill, figures, machine."""
    blank: Line = ()
    kills, faults = report.disturbed.kills, report.faults
    verdict: Span = (
        ("everything holds", "good") if not faults else (f"{len(faults)} fault{'s' * (len(faults) > 1)}", "bad")
    )
    lines: list[Line] = [
        ((f"chaos  {len(kills)} kills in {report.rounds} rounds, seed {report.seed}: ", "strong"), verdict)
    ]
    lines += [((part, "bad"),) for fault in faults for part in wrapped(visible(fault), width)]
    lines += [blank, *_cells(report), blank, *_kills(report), blank, *labelled(_figures(report), width)]
    return lines


def _cells(report: Report) -> list[Line]:
    reasons: list[str] = []
    lines: list[Line] = [((" " * 10 + "".join(actor.rjust(9) for actor in ACTORS), "dim"),)]
    for phase, row in report.cells.items():
        spans: list[Span] = [(phase.ljust(10), "")]
        for actor in ACTORS:
            told = row[actor]
            if isinstance(told, str):
                reasons += [] if told in reasons else [told]
                spans.append((f"({'abc'[reasons.index(told)]})".rjust(9), "dim"))
            else:
                spans.append((str(told).rjust(9), ""))
        lines.append(tuple(spans))
    return lines + [((f"({'abc'[at]}) {reason}", "dim"),) for at, reason in enumerate(reasons)]


def _kills(report: Report) -> list[Line]:
    head = ("", "second", "round", "phase", "actor", "process", "moment", "goes on", "back", "telemetry")
    start = report.disturbed.starts[0].at
    rows = [head]
    for number, (kill, seen) in enumerate(zip(report.disturbed.kills, report.noticed, strict=True), 1):
        rows.append(
            (
                str(number),
                f"{kill.at - start:.1f}",
                str(kill.round),
                kill.phase,
                kill.actor,
                str(kill.pid),
                kill.moment,
                _seconds(kill.goes_on_s),
                _seconds(seen.back_s),
                NOTHING if seen.how == "driver" else seen.how,
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    left = {3, 4, 6, 9}
    texts = [
        "  ".join(
            cell.ljust(size) if at in left else cell.rjust(size)
            for at, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return [((text.rstrip(), "dim" if at == 0 else ""),) for at, text in enumerate(texts)]


def _figures(report: Report) -> list[tuple[str, str]]:
    kills, starts = report.disturbed.kills, report.disturbed.starts
    by_actor = ", ".join(f"{sum(kill.actor == actor for kill in kills)} {actor}" for actor in ACTORS)
    gone = [start.orphans_s for start in starts[:-1]]
    rows = sum(count.rows for count in report.counts.values())
    told = [
        ("kills", f"{len(kills)}: {by_actor}"),
        (
            "restarts",
            f"{len(starts) - 1} of the command; {sum(seen.back_s is not None for seen in report.noticed)} in all",
        ),
        ("goes on", _medians(report.lost, "goes_on_s")),
        ("back", _medians(report.lost, "back_s")),
        ("rows", ", ".join(f"{count.rows} {name}" for name, count in report.counts.items())),
        ("duplicates", str(sum(count.duplicates for count in report.counts.values()))),
        ("gaps", str(sum(count.gaps for count in report.counts.values()))),
        (
            "ledgers",
            f"{rows} rows, {'byte-equal' if not report.differences else 'not equal'}, sha256 {report.digest[:16]}",
        ),
        ("orphans", f"gone {_seconds(_median([*gone]))} s after their driver (median){_stayed(starts)}"),
        ("time", ", ".join(f"{name} {duration(value)}" for name, value in report.seconds.items())),
        ("machine", ", ".join(f"{name} {value}" for name, value in report.machine.items())),
        ("folder", report.folder),
    ]
    return told


def _stayed(starts: Sequence[Start]) -> str:
    """Which processes outlived a killed driver until they were ended."""
    names = [name for start in starts for name in start.orphans]
    told = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))
    return f"; had to be ended: {told}" if names else ""


def _medians(lost: dict[str, dict[str, float | None]], name: str) -> str:
    return ", ".join(f"{actor} {_seconds(lost[actor][name])}" for actor in ACTORS) + " (median seconds)"


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else short_number(value)
