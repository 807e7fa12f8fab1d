"""All that a report tells of a run, before it becomes a page."""

from __future__ import annotations

from dataclasses import dataclass, field

from loop.diagnostics.diagnostic import Colour, Diagnostic
from loop.diagnostics.table import BY_NAME
from loop.report.answers import Followed
from loop.report.examples import Kind
from loop.report.headline import Headline, against
from loop.report.plots import Bars, Curves, Histograms
from loop.report.standing import all_rounds, is_rejected
from loop.report.text import shown
from loop.summary import RoundSummary, RunSummary
from loop.view.table import gain_of, wall_seconds
from loop.view.text import NOTHING, count, duration, number, percent, points, seconds, short_number

ROUNDS_SHOWN = 40
"""Newest rounds that have a row in the table of rounds."""

DIAGNOSED = 10
"""Newest rounds that have a column in the table of diagnostics."""

SIGNS: dict[Colour, str] = {"green": "✓", "amber": "!", "red": "✗", "grey": "·"}
WORDS: dict[Colour, str] = {"green": "as expected", "amber": "worth a look", "red": "wrong", "grey": "not judged"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its name, and what it means."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A diagnostic of a round: its colour with a sign and a word, its value and sentence."""

    round: int
    colour: Colour
    sign: str
    word: str
    value: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A diagnostic over the rounds, `[R]`; None in a round that does not have it."""

    title: str
    cells_R: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What the gate decided in a round."""

    round: int
    decision: str
    reason: str
    detectable: str


@dataclass(frozen=True, slots=True)
class Report:
    """A run's page. `missing` says which sections are not there and why."""

    run: RunSummary
    headline: Headline
    figures: tuple[Figure, ...]
    gold: Curves | None
    curves: tuple[Curves, ...]
    header: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    left_out: int
    decisions: tuple[Decided, ...]
    diagnosed: tuple[int, ...]
    diagnostics: tuple[Diagnosed, ...]
    remarks: tuple[tuple[str, Cell], ...]
    times: Bars | None
    scores: tuple[Histograms | Curves, ...]
    examples_round: int | None
    examples: tuple[Kind, ...]
    followed: tuple[Followed, ...]
    notes: tuple[tuple[int, str], ...]
    settings: tuple[tuple[str, str], ...]
    config: str
    missing: tuple[tuple[str, str], ...] = field(default=())


HEADER = ("round", "gold score", "95% interval", "change", "gate", "examples", "ties", "failed", "cut", "loss", "KL",
          "length", "time")  # fmt: skip


def figures(run: RunSummary, told: Headline) -> list[Figure]:
    """The numbers beside the headline, of the round at which the run stands."""
    now = run.standing
    return [
        Figure("gold score before", percent(run.initial.gold_score), _span(run.initial)),
        *([Figure("gold score now", percent(now.gold_score), _span(now))] if now is not run.initial else []),
        *([Figure("change, points", points(told.gain.difference), _gained(told))] if told.gain else []),
        *_won(now),
        *([Figure("KL from the start", number(now.kl), "nats per answer")] if now.kl is not None else []),
        *([Figure("answer length", short_number(now.response_tokens_mean), "tokens, training prompts")]
          if now.response_tokens_mean is not None else []),
        *([Figure("judge right", percent(now.judge_accuracy), "of right against wrong answers")]
          if now.judge_accuracy is not None else []),
        Figure("time in all", duration(run.seconds_total), _first_token(run)),
    ]  # fmt: skip


def _gained(told: Headline) -> str:
    return f"{points(told.gain.low)} to {points(told.gain.high)}" if told.gain else ""


def _span(one: RoundSummary) -> str:
    if one.gold_low is None or one.gold_high is None:
        return "not measured"
    return f"{100 * one.gold_low:.1f} to {100 * one.gold_high:.1f}"


def _won(now: RoundSummary) -> list[Figure]:
    won = against(now, "initial")
    if won is None:
        return []
    equal = "" if won.length_controlled is None else f"; {percent(won.length_controlled)} at equal length"
    return [Figure("win rate against the start", percent(won.win_rate), f"{_shares(won.low, won.high)}{equal}")]


def _shares(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _first_token(run: RunSummary) -> str:
    known = run.seconds_to_first_token
    return "" if known is None else f"first token after {duration(known)}"


def round_rows(run: RunSummary) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], int]:
    """The table of rounds: its header, the initial policy and the newest rounds, columns that say nothing left out;
    and how many rounds are left out."""
    rounds = all_rounds(run)
    shown_rounds = [*rounds[:1], *rounds[1:][-ROUNDS_SHOWN:]]
    rows = [_row(one, run.initial) for one in shown_rounds]
    told = [at for at in range(len(HEADER)) if any(row[at] != NOTHING for row in rows)]
    table = tuple(tuple(row[at] for at in told) for row in rows)
    return tuple(HEADER[at] for at in told), table, len(rounds) - len(shown_rounds)


def _row(one: RoundSummary, initial: RoundSummary) -> tuple[str, ...]:
    trained = one.responses > 0
    gate = NOTHING if one.gate is None else "✗ rejected" if is_rejected(one) else "✓ kept"
    return (
        str(one.round), percent(one.gold_score), NOTHING if one.gold_low is None else _span(one),
        points(gain_of(one, initial)), gate,
        *((count(n) if trained else NOTHING) for n in (one.examples, one.ties, one.failed_judgements, one.truncated)),
        number(one.loss), number(one.kl), short_number(one.response_tokens_mean), seconds(wall_seconds(one)),
    )  # fmt: skip


def decisions(run: RunSummary) -> list[Decided]:
    """The gate's decisions, the newest first."""
    return [
        Decided(
            one.round,
            one.gate.decision,
            one.gate.reason,
            f"a loss of {100 * one.gate.detectable:.1f} points of win rate",
        )
        for one in reversed(run.rounds[-ROUNDS_SHOWN:])
        if one.gate is not None
    ]


def diagnosed(run: RunSummary) -> tuple[list[int], list[Diagnosed]]:
    """The rounds with diagnostics, and each diagnostic over them."""
    rounds = [one for one in all_rounds(run) if one.diagnostics][-DIAGNOSED:]
    names = dict.fromkeys(each.name for one in rounds for each in one.diagnostics)
    found = {(one.round, each.name): _cell(one.round, each) for one in rounds for each in one.diagnostics}
    numbers = [one.round for one in rounds]
    titles = {name: BY_NAME[name].title if name in BY_NAME else name for name in names}
    return numbers, [Diagnosed(titles[name], tuple(found.get((one, name)) for one in numbers)) for name in names]


def _cell(number_of: int, one: Diagnostic) -> Cell:
    return Cell(number_of, one.colour, SIGNS[one.colour], WORDS[one.colour], number(one.value), one.sentence)


def remarks(rows: list[Diagnosed]) -> list[tuple[str, Cell]]:
    """What the diagnostics say in words: of each the newest sentence, and every one that is amber or red, red first."""
    told = []
    for row in rows:
        cells = [cell for cell in row.cells_R if cell is not None]
        told += [(row.title, cell) for cell in cells if cell is cells[-1] or cell.colour in ("amber", "red")]
    order: list[Colour] = ["red", "amber", "green", "grey"]
    return sorted(told, key=lambda pair: (order.index(pair[1].colour), -pair[1].round))


def notes(run: RunSummary) -> list[tuple[int, str]]:
    """What was noted in each round."""
    return [(one.round, shown(note, 600)) for one in all_rounds(run) for note in one.notes][-100:]


def settings(run: RunSummary, parent: str | None) -> list[tuple[str, str]]:
    """What ran, as a person would name it."""
    counts = ", ".join(f"{name} {n:,}" for name, n in run.prompts.items())
    memory = "" if run.peak_memory_gib is None else f"{run.peak_memory_gib:.2f} GiB at the peak"
    rows = [
        ("experiment", run.experiment), ("recipe", run.algorithm), ("judge", run.judge), ("model", run.model),
        ("seed", str(run.seed)), ("prompts", counts), ("identity", run.identity), ("forked from", parent or ""),
        ("policy now", run.last.policy), ("memory", memory), *sorted(run.versions.items()),
    ]  # fmt: skip
    return [(name, value) for name, value in rows if value]
