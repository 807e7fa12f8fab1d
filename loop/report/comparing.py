"""Several runs beside each other: what each came to, how far apart they are, and what they did differently."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from loop.difference import differing
from loop.report.curves import LENGTHS, drawn, gold_point
from loop.report.gains import Gain, gain
from loop.report.headline import Headline, headline
from loop.report.plots import Curves, Point, Series
from loop.report.standing import all_rounds, is_rejected
from loop.summary import RoundSummary, RunSummary
from loop.view.table import wall_seconds


@dataclass(frozen=True, slots=True)
class Compared:
    """A run with the letter that stands for it. `now` is the round at which it stands, `change` that round's gold score
    against the run's own first one, `beyond` against the first run's last one; None where that was not measured."""

    letter: str
    run: RunSummary
    told: Headline
    now: RoundSummary
    change: Gain | None
    beyond: Gain | None
    kept: int
    rejected: int
    kl: float | None
    length: float | None


@dataclass(frozen=True, slots=True)
class Comparing:
    """Runs in the order given. `settings` are the keys that differ, each with its value in every run."""

    runs: tuple[Compared, ...]
    curves: tuple[Curves, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]


def compare(runs: Sequence[RunSummary], configs: Sequence[Mapping[str, Any]]) -> Comparing:
    """Summaries of runs, and their configurations as plain data (`loop.identity.meaning`)."""
    compared = [_compared(_letter(at), run, runs[0]) for at, run in enumerate(runs)]
    settings = tuple((key, tuple(values)) for key, values in differing(configs))
    return Comparing(tuple(compared), tuple(_curves(compared)), settings)


def _letter(at: int) -> str:
    """A, B, ... Z, A1, B1, ..."""
    turn, place = divmod(at, 26)
    return string.ascii_uppercase[place] + (str(turn) if turn else "")


def _compared(letter: str, run: RunSummary, first: RunSummary) -> Compared:
    now, told = run.standing, headline(run)
    gated = [one for one in run.rounds if one.gate is not None]
    rejected = sum(is_rejected(one) for one in gated)
    return Compared(
        letter=letter,
        run=run,
        told=told,
        now=now,
        change=told.gain,
        beyond=None if run is first else gain(first.standing, now),
        kept=len(gated) - rejected,
        rejected=rejected,
        kl=now.kl,
        length=now.evaluation_tokens_mean if now.evaluation_tokens_mean is not None else now.response_tokens_mean,
    )


Place = Callable[[RoundSummary], float | None]


def _curves(runs: Sequence[Compared]) -> list[Curves]:
    scored = "gold score"
    plots = [
        _curve("gold", "Gold score by round", "round", scored, [_gold(one, _number) for one in runs], True),
        _curve("spent", "Gold score by time", "seconds of all rounds", scored, [_spent(one) for one in runs], True),
        _curve("kl", "Gold score by distance", "KL from the initial policy, nats per answer", scored,
               [_gold(one, _kl) for one in runs], True),
        _curve("length", "Length of the answers", "round", "tokens per answer", [_lengths(one) for one in runs], False),
    ]  # fmt: skip
    return [one for one in plots if one is not None]


def _number(round: RoundSummary) -> float:
    return float(round.round)


def _kl(round: RoundSummary) -> float | None:
    """The initial policy is at no distance from itself."""
    return round.kl if round.round else 0.0


def _curve(
    key: str, title: str, x_label: str, y_label: str, points: Sequence[tuple[str, list[Point]]], percent: bool
) -> Curves | None:
    series = tuple(Series(name, tuple(some), at) for at, (name, some) in enumerate(points) if some)
    if not series:
        return None
    return Curves(key, title, x_label, y_label, series, "percent" if percent else "number", from_zero=not percent)


def _gold(one: Compared, place: Place) -> tuple[str, list[Point]]:
    """Gold scores at the place of each round."""
    points = []
    for round in drawn(one.run):
        if round.gold_score is not None and (x := place(round)) is not None:
            points.append(_at(gold_point(round), x))
    return _name(one), points


def _at(point: Point, x: float) -> Point:
    return Point(x, point.y, point.low, point.high, point.crossed)


def _spent(one: Compared) -> tuple[str, list[Point]]:
    """Gold scores at the seconds that the rounds up to each one took."""
    rounds = all_rounds(one.run)
    spent = dict(zip((r.round for r in rounds), accumulate(wall_seconds(r) or 0.0 for r in rounds), strict=True))
    return _gold(one, lambda round: spent[round.round])


def _lengths(one: Compared) -> tuple[str, list[Point]]:
    value = LENGTHS["test prompts" if one.now.evaluation_tokens_mean is not None else "training prompts"]
    known = [(round, value(round)) for round in drawn(one.run)]
    return _name(one), [Point(round.round, y, crossed=is_rejected(round)) for round, y in known if y is not None]


def _name(one: Compared) -> str:
    return f"{one.letter} {one.run.run}"
