"""Whether the judge's confidence can be believed, where the prompts have reference answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from loop.judges.verifier_checks import exact
from loop.report.plots import Curves, Point, Series
from loop.report.standing import spaced
from loop.report.tables import Tables, listed
from loop.summary import wilson

BINS = 5
"""Of confidence, equally wide, from one half to 1."""

ROUNDS_SHOWN = 3
PROMPTS = 512
"""Prompts of a round that are looked at."""

FEWEST = 10
"""Cases of a bin that is drawn."""

EVEN = 1e-9

COMPARED = """
select round, prompt_id, response_id, against, value from verdicts
where against is not null and value is not null and round in {}
qualify dense_rank() over (partition by round order by prompt_id) <= ?
"""
ANSWERED = "select prompt_id, answer from prompts where answer is not null and prompt_id in (select unnest(?))"
TEXTS = "select response_id, prompt_id, text from responses where round in {} and prompt_id in (select unnest(?))"


@dataclass(frozen=True, slots=True)
class Case:
    """A comparison of a right with a wrong answer: the probability that the judge gives to the right one."""

    round: int
    value: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Comparisons of like confidence, and the share in which the preferred answer was the right one, with its 95 %
    interval."""

    cases: int
    confidence: float
    right: float
    low: float
    high: float


def read_cases(tables: Tables, rounds: Sequence[int]) -> list[Case]:
    """Comparisons of right with wrong answers in up to three rounds; none where there is no reference answer."""
    among = listed(spaced(list(rounds), ROUNDS_SHOWN))
    said = tables.rows(COMPARED.format(among), [PROMPTS])
    asked = tables.rows(ANSWERED, [list({row["prompt_id"] for row in said})])
    answers = {row["prompt_id"]: row["answer"] for row in asked}
    texts = tables.rows(TEXTS.format(among), [list(answers)]) if answers else []
    right = {row["response_id"]: bool(exact(row["text"], answers[row["prompt_id"]], {}).right) for row in texts}
    cases = []
    for row in said:
        first, second = right.get(row["response_id"]), right.get(row["against"])
        if first is not None and second is not None and first != second:
            cases.append(Case(row["round"], row["value"] if first else 1.0 - row["value"]))
    return cases


def bins_of(cases: Sequence[Case]) -> list[Bin]:
    """Bins of the confidence max(p, 1 - p) (Guo et al., arXiv 1706.04599; of two classes, so from one half). Ties
    prefer nobody and are left out, and so are bins of a handful of cases."""
    inside: dict[int, list[float]] = defaultdict(list)
    for case in cases:
        if abs(case.value - 0.5) > EVEN:
            confidence = max(case.value, 1.0 - case.value)
            inside[min(int((confidence - 0.5) * 2 * BINS), BINS - 1)].append(case.value)
    return [_bin(inside[at]) for at in sorted(inside) if len(inside[at]) >= FEWEST]


def _bin(values: Sequence[float]) -> Bin:
    right = sum(value > 0.5 for value in values)
    low, high = wilson(right, len(values))
    return Bin(len(values), sum(max(v, 1.0 - v) for v in values) / len(values), right / len(values), low, high)


def reliability_plot(cases: Sequence[Case]) -> Curves | None:
    """Share right by confidence, a line for each round; None without a case."""
    by_round: dict[int, list[Case]] = defaultdict(list)
    for case in cases:
        by_round[case.round].append(case)
    series = [_series(at, number, bins_of(by_round[number])) for at, number in enumerate(sorted(by_round))]
    drawn = tuple(one for one in series if one.points)
    if not drawn:
        return None
    return Curves(
        "reliability", "Can the judge's confidence be believed?", "probability that it gives its choice",
        "share of choices that are right", drawn, unit="percent", x_unit="percent", diagonal=True,
        note="On the dashed line it is as often right as it says; below it is too sure of itself. Confidences of fewer "
        "than 10 cases are not drawn.",
    )  # fmt: skip


def _series(colour: int, number: int, bins: Sequence[Bin]) -> Series:
    points = tuple(Point(one.confidence, one.right, one.low, one.high) for one in bins)
    return Series(f"round {number}", points, colour)
