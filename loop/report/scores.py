"""What the judge said over the rounds: how its verdicts are distributed, and its reward against the gold score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loop.report.plots import Curves, Histogram, Histograms, Point, Series
from loop.report.standing import all_rounds, policy_of, spaced
from loop.report.tables import Tables, listed
from loop.summary import RunSummary

BINS = 24
ROUNDS_SHOWN = 6
ROUNDS_REWARDED = 40

SCORES = "select round, value from verdicts where against is null and isfinite(value) and round in {}"
SURE = """
select round, greatest(value, 1 - value) as value from verdicts
where against is not null and isfinite(value) and round in {}
"""
BINNED = """
select round, least(floor((value - ?) / ?), ? - 1)::int as bin, count(*)::int as n from ({}) group by all
"""
REWARDS = """
select r.policy, avg(v.value) as reward from verdicts v
join responses r on r.round = v.round and r.response_id = v.response_id
where v.against is null and isfinite(v.value) and r.purpose = 'train' and v.round in {0} and r.round in {0}
group by r.policy
"""


@dataclass(frozen=True, slots=True)
class Binned:
    """Counts of values by round and bin, between `low` and `high`."""

    low: float
    high: float
    counts: dict[int, dict[int, int]]


def read_scores(tables: Tables, rounds: Sequence[int]) -> Binned | None:
    """Scores of single responses; None where the judge gave none."""
    values = SCORES.format(listed(spaced(list(rounds), ROUNDS_SHOWN)))
    (ends,) = tables.rows(f"select min(value) as low, max(value) as high from ({values})")
    if ends["low"] is None:
        return None
    low, high = ends["low"], ends["high"]
    return _binned(tables, values, low, high if high > low else low + 1.0)


def read_sureness(tables: Tables, rounds: Sequence[int]) -> Binned | None:
    """How sure comparisons are, max(p, 1 - p); None where the judge compared nothing."""
    found = _binned(tables, SURE.format(listed(spaced(list(rounds), ROUNDS_SHOWN))), 0.5, 1.0)
    return found if found.counts else None


def read_rewards(tables: Tables, rounds: Sequence[int]) -> dict[str, float]:
    """The mean score of a policy's samples on training prompts, by its version; empty where the judge gives none."""
    rows = tables.rows(REWARDS.format(listed(spaced(list(rounds), ROUNDS_REWARDED))))
    return {row["policy"]: row["reward"] for row in rows}


def _binned(tables: Tables, values: str, low: float, high: float) -> Binned:
    rows: list[dict[str, Any]] = tables.rows(BINNED.format(values), [low, (high - low) / BINS, BINS])
    counts: dict[int, dict[int, int]] = defaultdict(dict)
    for row in rows:
        counts[row["round"]][row["bin"]] = row["n"]
    return Binned(low, high, dict(sorted(counts.items())))


def scores_plot(found: Binned) -> Histograms:
    """The distribution of scores, a row for each round."""
    return Histograms(
        "scores", "Scores of the judge", "score of a response", found.low, found.high, _rows(found),
        "Each row is a round, scaled to its own fullest bin.",
    )  # fmt: skip


def sureness_plot(found: Binned) -> Histograms:
    """How sure the judge's comparisons are, a row for each round."""
    return Histograms(
        "sure", "How sure the judge is", "probability of the preferred answer",
        found.low, found.high, _rows(found),
        "Both orders averaged: 0.5 is a tie, 1 a certain preference. Each row is a round.",
    )  # fmt: skip


def _rows(found: Binned) -> tuple[Histogram, ...]:
    return tuple(
        Histogram(f"{number}", tuple(counts.get(b, 0) for b in range(BINS))) for number, counts in found.counts.items()
    )


def reward_plot(run: RunSummary, rewards: Mapping[str, float]) -> Curves | None:
    """Each policy's reward and gold score; None where fewer than two policies have both. A version that was measured
    twice counts as measured first, when it was made."""
    made = {policy_of(one): one for one in reversed(all_rounds(run)) if one.gold_score is not None}
    both = sorted((one.round, rewards[policy], one) for policy, one in made.items() if policy in rewards)
    if len(both) < 2:
        return None
    points = tuple(
        Point(reward, one.gold_score or 0.0, one.gold_low, one.gold_high, label=str(number))
        for number, reward, one in both
    )
    return Curves(
        "reward", "Reward against gold score", "mean score by the judge, training prompts", "gold score",
        (Series("policies", points, 0),), unit="percent",
        note="Numbers are rounds. Where reward goes on rising and gold falls, the policy only pleases the judge.",
    )  # fmt: skip
