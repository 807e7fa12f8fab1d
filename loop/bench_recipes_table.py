"""The table of `ratchet bench recipes`, and the sentences below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loop.bench_recipes_report import Gold, Outcome, Report, Row, rows_of, state_of
from loop.view.text import NOTHING, number, percent, seconds, short_number, visible, wrapped

HEAD = (
    *("recipe", "judge", "samples", "before", "after", "95% interval", "seeds from-to"),
    *("ties", "cut", "KL", "length", "examples", "time"),
)
WORDS = 2
"""Columns of words, left-aligned; the others hold numbers."""

MEANING = (
    "Gold: share of right answers to the test prompts, means over the seeds; the interval counts the prompts. ties: "
    "groups without an example because of a tie; cut: responses that the token limit cut; KL: nats per response from "
    "the last policy to the initial one; length: tokens per response in the last round; examples: learnt from; time: "
    "seconds per run."
)


def lines_of(report: Report, width: int) -> list[str]:
    """The table, each recipe's failures below its row, and what the table does not say by itself."""
    rows = rows_of(report)
    cells = [_cells(row, report.before) for row in rows]
    widths = [max(map(len, column)) for column in zip(HEAD, *cells, strict=True)]
    lines = [_aligned(HEAD, widths)]
    for row, line in zip(rows, cells, strict=True):
        lines.append(_aligned(line, widths))
        for failure in row.failures:
            lines += [f"  {part}" for part in wrapped(visible(failure), width - 2)]
    told = [part for sentence in (*verdicts(report), MEANING) for part in wrapped(sentence, width)]
    return [*lines, "", *told]


def verdicts(report: Report) -> Iterator[str]:
    """Which recipes did not improve, and which did not get that far."""
    rows = rows_of(report)
    yield (
        f"The budget was {report.budget:,} samples of policies in a run; prompts come whole, so some recipes have a "
        "few more or less."
    )
    if unclear := [row.recipe for row in rows if row.change == "unclear"]:
        yield f"No improvement beyond chance (the 95% intervals before and after overlap): {', '.join(unclear)}."
    if worse := [row.recipe for row in rows if row.change == "worse"]:
        yield f"Worse than the initial policy: {', '.join(worse)}."
    if missing := [row.recipe for row in rows if row.failures]:
        yield f"Not all of their runs came to an end: {', '.join(missing)}."
    if better := [row.recipe for row in rows if row.change == "better"]:
        others = "Every recipe" if len(better) == len(rows) else f"{len(better)} of {len(rows)} recipes"
        yield f"{others} improved the policy."


def progress(outcome: Outcome) -> str:
    """One line about a run that has just ended."""
    start = f"seed {outcome.seed}  {outcome.recipe}  "
    if outcome.sentence is not None:
        return f"{start}{state_of(outcome)}: {visible(outcome.sentence)}"
    return f"{start}{percent(outcome.before)} -> {percent(outcome.after)}  {seconds(outcome.seconds)} s"


def _cells(row: Row, before: Gold | None) -> tuple[str, ...]:
    if row.after is None or before is None:
        return (row.recipe, row.judge, *[NOTHING] * (len(HEAD) - WORDS))
    after = row.after
    return (
        row.recipe,
        row.judge,
        f"{row.samples:,.0f}",
        percent(before.mean),
        percent(after.mean),
        _span(after.low, after.high),
        _span(after.least, after.most) if row.complete > 1 else NOTHING,
        percent(row.ties),
        percent(row.truncated),
        number(row.kl),
        short_number(row.length),
        f"{row.examples:,.0f}",
        seconds(row.seconds),
    )


def _span(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if at < WORDS else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()
