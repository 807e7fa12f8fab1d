"""The learning curves of a run: plots from the summaries of its rounds. One that would be empty is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loop.report.plots import Curves, Point, Series, Unit
from loop.report.standing import all_rounds, is_rejected, spaced
from loop.summary import RoundSummary, RunSummary

MOST = 150
"""Rounds drawn; of more, evenly spaced ones and every rejected one."""

OPPONENTS = {"incumbent": "the policy before", "best": "the best so far", "initial": "the initial policy"}

Value = Callable[[RoundSummary], float | None]


def gold_curve(run: RunSummary) -> Curves | None:
    """Gold score by round, and the score on the second set of prompts where there is one."""
    rounds = drawn(run)
    gold = tuple(gold_point(one) for one in rounds if one.gold_score is not None)
    retained = _points(rounds, lambda one: one.retention_score)
    series = [Series("gold score", gold, 0)] if gold else []
    if retained:
        series.append(Series("second set of prompts", retained, 1))
    return _curves("gold", "Gold score on test prompts", "gold score, 95% intervals", series, percent=True)


def learning_curves(run: RunSummary) -> list[Curves]:
    """Win rates, divergence, length and how different the answers are; gold score and reward are plots of their own."""
    rounds = drawn(run)
    told = [
        _wins(rounds),
        _one(
            "kl",
            "Distance from the initial policy",
            "KL divergence, nats per answer",
            rounds,
            lambda one: one.kl,
            zero=True,
        ),
        _lengths(rounds),
        _one("loss", "Loss in training", "loss", rounds, lambda one: one.loss),
        _one("diversity", "Different answers", "share of answers that differ", rounds, lambda one: one.diversity, True),
    ]
    return [one for one in told if one is not None]


def drawn(run: RunSummary) -> list[RoundSummary]:
    """The rounds that are drawn."""
    rounds = all_rounds(run)
    kept = set(spaced(list(range(len(rounds))), MOST))
    return [one for at, one in enumerate(rounds) if at in kept or is_rejected(one)]


def gold_point(one: RoundSummary) -> Point:
    """A round's gold score with its interval."""
    return Point(one.round, one.gold_score or 0.0, one.gold_low, one.gold_high, crossed=is_rejected(one))


def _wins(rounds: Sequence[RoundSummary]) -> Curves | None:
    series = []
    for at, (opponent, name) in enumerate(OPPONENTS.items()):
        points = tuple(
            Point(round.round, won.win_rate, won.low, won.high, crossed=is_rejected(round))
            for round in rounds
            for won in round.versus
            if won.against == opponent
        )
        if points:
            series.append(Series(f"against {name}", points, at))
    note = "Above the dashed line the round's answers win more often than they lose; ties count half."
    return _curves("wins", "Win rate on test prompts", "win rate, 95% intervals", series, True, 0.5, note)


def _lengths(rounds: Sequence[RoundSummary]) -> Curves | None:
    series = [
        Series(name, points, at)
        for at, (name, value) in enumerate(LENGTHS.items())
        if (points := _points(rounds, value))
    ]
    return _curves("length", "Length of the answers", "tokens per answer", series, zero=True)


LENGTHS: dict[str, Value] = {
    "training prompts": lambda one: one.response_tokens_mean,
    "test prompts": lambda one: one.evaluation_tokens_mean,
}


def _one(
    key: str,
    title: str,
    label: str,
    rounds: Sequence[RoundSummary],
    value: Value,
    percent: bool = False,
    zero: bool = False,
) -> Curves | None:
    points = _points(rounds, value)
    return _curves(key, title, label, [Series(title, points, 0)] if points else [], percent, zero=zero)


def _points(rounds: Sequence[RoundSummary], value: Value) -> tuple[Point, ...]:
    known = ((one, value(one)) for one in rounds)
    return tuple(Point(one.round, y, crossed=is_rejected(one)) for one, y in known if y is not None)


def _curves(
    key: str,
    title: str,
    label: str,
    series: Sequence[Series],
    percent: bool = False,
    level: float | None = None,
    note: str = "",
    zero: bool = False,
) -> Curves | None:
    """None without a point."""
    if not series:
        return None
    unit: Unit = "percent" if percent else "number"
    return Curves(key, title, "round", label, tuple(series), unit, level=level, note=note, from_zero=zero)
