"""Where the seconds of each round went."""

from __future__ import annotations

from collections import Counter

from loop.report.plots import Bar, Bars
from loop.report.standing import all_rounds
from loop.summary import RunSummary
from loop.view.table import wall_seconds

ROUNDS_SHOWN = 12
PHASES_SHOWN = 6
WHOLE = "round"
OTHERS = "all others"


def time_bars(run: RunSummary) -> Bars | None:
    """The newest rounds as bars of their phases: the longest ones, in the order in which they happen, and the rest.
    None where no time is known."""
    timed = [one for one in all_rounds(run) if set(one.seconds) - {WHOLE}][-ROUNDS_SHOWN:]
    if not timed:
        return None
    totals: Counter[str] = Counter()
    for one in reversed(timed):  # a trained round tells the order of its phases, the initial one has only some
        totals.update({phase: seconds for phase, seconds in one.seconds.items() if phase != WHOLE})
    long = {phase for phase, _ in totals.most_common(PHASES_SHOWN)}
    parts = [phase for phase in totals if phase in long]
    if len(totals) > len(parts):
        parts.append(OTHERS)
    bars = tuple(
        Bar(f"{one.round}", tuple(_seconds(one.seconds, part, long) for part in parts), wall_seconds(one))
        for one in timed
    )
    return Bars(
        "time", "Time by phase", "seconds of each round", tuple(parts), bars, "wall time of the round",
        "Phases overlap, so that together they may take longer than the round.",
    )  # fmt: skip


def _seconds(seconds: dict[str, float], part: str, long: set[str]) -> float:
    if part != OTHERS:
        return seconds.get(part, 0.0)
    return sum(value for phase, value in seconds.items() if phase != WHOLE and phase not in long)
