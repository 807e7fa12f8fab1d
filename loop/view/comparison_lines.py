"""Runs beside each other, as a table for a page or a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from loop.report.comparing import Compared, Comparing
from loop.report.gains import Gain, Scored
from loop.view.text import (
    NOTHING,
    Line,
    Tone,
    labelled,
    number,
    percent,
    points,
    seconds,
    short_number,
    visible,
    wrapped,
)

TONES: dict[str, Tone] = {"better": "good", "worse": "bad"}
OPTIONAL = ("gold before", "length", "KL", "time")
"""Columns that a narrow terminal does without, in this order."""


def header_of(first: str) -> tuple[str, ...]:
    """Names of the columns."""
    return ("run", "gold before", "gold now", "change", f"against {first}", "kept", "rejected", "KL", "length", "time")


def cells_of(one: Compared) -> tuple[str, ...]:
    """A run as a row."""
    gated = one.kept + one.rejected > 0
    return (
        one.letter, score(one.run.initial), score(one.now), difference(one.change), difference(one.beyond),
        str(one.kept) if gated else NOTHING, str(one.rejected) if gated else NOTHING,
        number(one.kl), short_number(one.length), seconds(one.run.seconds_total),
    )  # fmt: skip


def score(one: Scored) -> str:
    """A gold score with its interval, as 87.3% (84.1 to 89.9)."""
    if one.gold_low is None or one.gold_high is None:
        return percent(one.gold_score)
    return f"{percent(one.gold_score)} ({100 * one.gold_low:.1f} to {100 * one.gold_high:.1f})"


def difference(gain: Gain | None) -> str:
    """A difference in points with its interval, as +43.2 (+37.8 to +48.1)."""
    if gain is None:
        return NOTHING
    return f"{points(gain.difference)} ({points(gain.low)} to {points(gain.high)})"


def comparison_lines(comparing: Comparing, width: int) -> list[Line]:
    """Each run with its headline, the table, and the settings that differ."""
    blank: Line = ()
    lines: list[Line] = []
    for one in comparing.runs:
        lines.append(((f"{one.letter}  ", "strong"), (visible(one.run.run), "strong")))
        tone = TONES.get(one.told.verdict, "")
        lines += [((f"   {part}", tone),) for part in wrapped(visible(one.told.sentence), width - 3)]
    lines += [blank, *_table(comparing, width), blank]
    if not comparing.settings:
        return [*lines, (("no setting differs", ""),)]
    letters = [one.letter for one in comparing.runs]
    rows = [(key, _values(letters, values)) for key, values in comparing.settings]
    return [*lines, (("settings that differ", "strong"),), *labelled(rows, width)]


def _values(letters: Sequence[str], values: Sequence[str]) -> str:
    return ", ".join(f"{letter} {value}" for letter, value in zip(letters, values, strict=True))


def table_of(comparing: Comparing) -> list[tuple[str, ...]]:
    """Header and rows; columns that say nothing of any run are left out."""
    rows = [header_of(comparing.runs[0].letter), *map(cells_of, comparing.runs)]
    told = [at for at in range(len(rows[0])) if any(row[at] != NOTHING for row in rows[1:])]
    return [tuple(row[at] for at in told) for row in rows]


def _table(comparing: Comparing, width: int) -> list[Line]:
    rows = table_of(comparing)
    header = rows[0]
    shown = list(range(len(header)))
    for name in OPTIONAL:
        if sum(_width(rows, at) + 2 for at in shown) - 2 > width:
            shown = [at for at in shown if header[at] != name]
    return [_line(rows, shown, row, "dim" if row is header else "") for row in rows]


def _width(rows: Sequence[Sequence[str]], at: int) -> int:
    return max(len(row[at]) for row in rows)


def _line(rows: Sequence[Sequence[str]], shown: Sequence[int], row: Sequence[str], tone: Tone) -> Line:
    cells = (row[at].ljust(_width(rows, at)) if at == 0 else row[at].rjust(_width(rows, at)) for at in shown)
    return (("  ".join(cells), tone),)
