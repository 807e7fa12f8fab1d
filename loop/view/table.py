"""The table of rounds: one row per round, as many columns as the width allows, each as wide in every row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from loop.gate.result import GateResult
from loop.summary import RoundSummary
from loop.view.text import NOTHING, Line, Span, Tone, count, number, percent, points, seconds, short_number

Cell = Callable[[RoundSummary, RoundSummary], Span]
Change = Literal["better", "worse", "unclear"]
CHANGE_TONES: dict[Change, Tone] = {"better": "good", "worse": "bad", "unclear": ""}


@dataclass(frozen=True, slots=True)
class Column:
    """One column, right-aligned. `cell` is a function of a round and the initial one; `gap` the spaces before it."""

    header: str
    width: int
    cell: Cell
    gap: int = 2


def change_of(after: RoundSummary, before: RoundSummary) -> Change:
    """Whether the gold score moved: better or worse only when the two 95 % intervals do not overlap."""
    if after.gold_low is None or after.gold_high is None or before.gold_low is None or before.gold_high is None:
        return "unclear"
    if after.gold_low > before.gold_high:
        return "better"
    return "worse" if after.gold_high < before.gold_low else "unclear"


def gain_of(after: RoundSummary, before: RoundSummary) -> float | None:
    """Difference of the gold scores, None for a round that was not measured or is the initial one."""
    if after.round == before.round or after.gold_score is None or before.gold_score is None:
        return None
    return after.gold_score - before.gold_score


def wall_seconds(summary: RoundSummary) -> float | None:
    """Wall time of a round: `seconds["round"]`, or the sum of its phases where that is not given."""
    if not summary.seconds:
        return None
    return summary.seconds.get("round", sum(summary.seconds.values()))


def gate_span(gate: GateResult | None) -> Span:
    """What the gate decided, in a word that needs no colour."""
    if gate is None:
        return (NOTHING, "")
    return ("promoted", "good") if gate.decision == "promoted" else ("rejected", "attention")


def _trained(text: Callable[[RoundSummary], str], alarming: Callable[[RoundSummary], bool] = lambda s: False) -> Cell:
    def cell(summary: RoundSummary, initial: RoundSummary) -> Span:
        if summary.responses == 0:
            return (NOTHING, "")
        return (text(summary), "attention" if alarming(summary) else "")

    return cell


def _phase(name: str, header: str, gap: int = 1) -> Column:
    return Column(header, max(4, len(header)), lambda s, _: (seconds(s.seconds.get(name)), ""), gap)


def _interval(summary: RoundSummary, initial: RoundSummary) -> Span:
    if summary.gold_low is None or summary.gold_high is None:
        return (NOTHING, "")
    return (f"{100 * summary.gold_low:.1f} to {100 * summary.gold_high:.1f}", "")


ROUND = Column("round", 5, lambda s, _: (str(s.round), ""), gap=0)
GOLD = Column("gold", 5, lambda s, _: (percent(s.gold_score), "strong"))
INTERVAL = Column("95% interval", 13, _interval)
CHANGE = Column("change", 6, lambda s, i: (points(gain_of(s, i)), CHANGE_TONES[change_of(s, i)]))
DATA = Column("data", 5, _trained(lambda s: count(s.examples), lambda s: s.examples == 0))
TIES = Column("ties", 4, _trained(lambda s: count(s.ties)))
FAILED = Column("failed", 6, _trained(lambda s: count(s.failed_judgements), lambda s: s.failed_judgements > 0))
STEPS = Column("steps", 5, _trained(lambda s: count(s.steps), lambda s: s.skipped_steps > 0))
LOSS = Column("loss", 6, lambda s, _: (number(s.loss), ""))
ACCURACY = Column("accuracy", 8, lambda s, _: (percent(s.accuracy), ""))
MARGIN = Column("margin", 6, lambda s, _: (number(s.margin), ""))
KL = Column("KL", 6, lambda s, _: (number(s.kl), ""))
LENGTH = Column("length", 6, lambda s, _: (short_number(s.response_tokens_mean), ""))
CUT = Column("cut", 4, _trained(lambda s: count(s.truncated)))
PUSH_GAP = Column("push gap", 8, lambda s, _: (number(s.push_gap), ""))
TIME = Column("time", 4, lambda s, _: (seconds(wall_seconds(s)), ""))
GATE = Column("gate", 8, lambda s, _: gate_span(s.gate))
PHASES = (
    _phase("generate", "gen", gap=2),
    _phase("judge", "judge"),
    _phase("learn", "learn"),
    _phase("push", "push"),
    _phase("evaluate", "eval"),
)

_BASE = (ROUND, GOLD, CHANGE, DATA, TIES, FAILED, LOSS, KL, LENGTH, CUT)
RUNNING = (
    (*_BASE, TIME, *PHASES),
    (*_BASE, *PHASES),
    (*_BASE, TIME),
    (ROUND, GOLD, CHANGE, DATA, FAILED, LOSS, KL, LENGTH, TIME),
    (ROUND, GOLD, CHANGE, DATA, TIES, LOSS, KL, TIME),
)
FINAL = (
    (ROUND, GOLD, INTERVAL, CHANGE, DATA, STEPS, LOSS, ACCURACY, MARGIN, KL, PUSH_GAP, TIME),
    (ROUND, GOLD, INTERVAL, CHANGE, DATA, STEPS, LOSS, KL, TIME),
    (ROUND, GOLD, CHANGE, DATA, LOSS, KL, TIME),
)


def gated(
    layouts: Sequence[Sequence[Column]], summary: RoundSummary, before: Sequence[Column] = ()
) -> Sequence[Sequence[Column]]:
    """The layouts with a column for the gate's decision, once there was one: in this round or in rows `before`."""
    if summary.gate is None and GATE not in before:
        return layouts
    return [[part for c in layout for part in ((c, GATE) if c is CHANGE else (c,))] for layout in layouts]


OF_SOME_LOSSES = {ACCURACY: "accuracy", MARGIN: "margin"}
"""Columns that are told only by losses on certain kinds of examples, and what they show of a round's summary."""


def told(layouts: Sequence[Sequence[Column]], rounds: Sequence[RoundSummary]) -> list[Sequence[Column]]:
    """The layouts without the columns that the run's loss does not tell."""
    learnt = [summary for summary in rounds if summary.loss is not None]
    untold = {
        column
        for column, name in OF_SOME_LOSSES.items()
        if learnt and all(getattr(summary, name) is None for summary in learnt)
    }
    return [[column for column in layout if column not in untold] for layout in layouts]


def width_of(columns: Sequence[Column]) -> int:
    """Characters of a row."""
    return sum(column.width + column.gap for column in columns)


def fitting(layouts: Sequence[Sequence[Column]], width: int) -> Sequence[Column]:
    """The first layout that fits; the last one where none does."""
    return next((columns for columns in layouts if width_of(columns) <= width), layouts[-1])


def header(columns: Sequence[Column]) -> list[Line]:
    """The names of the columns, with `seconds` above the phases where they are shown."""
    names = "".join(" " * column.gap + column.header.rjust(column.width) for column in columns)
    lines: list[Line] = [((names, "dim"),)]
    if PHASES[0] in columns:
        first = columns.index(PHASES[0])
        before = width_of(columns[:first]) + PHASES[0].gap
        lines.insert(0, ((" " * before + " seconds ".center(width_of(columns) - before, "-"), "dim"),))
    return lines


def row(columns: Sequence[Column], summary: RoundSummary, initial: RoundSummary) -> Line:
    """One round."""
    spans: list[Span] = []
    for column in columns:
        text, tone = column.cell(summary, initial)
        spans.append((" " * column.gap + text.rjust(column.width), tone if text != NOTHING else "dim"))
    return tuple(spans)
