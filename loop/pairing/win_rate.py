"""Best against worst of a group that was compared all with all, each labelled with how it does against the group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loop.config import Plan
from loop.pairing.candidates import extremes
from loop.pairing.found import Found, Options, Rule, pair_of
from loop.verdict import Group, Verdict
from loop.verdicts import Column, Table, bradley_terry, candidates, mean_scores, win_rates


def win_rate(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """The largest and the smallest win rate, as labels q_w and q_l. The strength is P(chosen beats
    rejected), the margin q_w - q_l.

    A win rate is the mean over all candidates, the response itself included with one half. No pair when all are equal.
    """
    return _labelled(group, verdict, win_rates, truncated_may_win)


def win_rate_skew(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """As `win_rate`, with the mean of the skew-symmetric scores logit P(i beats j) as labels, in logits, and best and
    worst by these; the margin is still the difference of win rates, and negative where the two disagree."""
    return _labelled(group, verdict, mean_scores, truncated_may_win)


def _labelled(group: Group, verdict: Verdict, rates: Callable[[Table], Column], truncated_may_win: bool) -> list[Found]:
    table_KK = verdict.preferences_KK
    assert table_KK is not None, "win rates need preferences"
    pool = compared(group, table_KK)
    pool_PP = tuple(tuple(table_KK[i][j] for j in pool) for i in pool)
    labels, won = (
        {i: value for i, value in zip(pool, column, strict=True) if value is not None}
        for column in (rates(pool_PP), win_rates(pool_PP))
    )
    if not (pair := extremes(group, labels, truncated_may_win)):
        return []
    chosen, rejected = pair
    strength = table_KK[chosen][rejected]
    assert strength is not None, "a response with a hole has no win rate"
    return [pair_of(*pair, strength, won[chosen] - won[rejected], (labels[chosen], labels[rejected]))]


def compared(group: Group, table_KK: Table) -> list[int]:
    """The candidates of which anything is known: one that the judge could not read does not spoil the others."""
    members = candidates(group)
    return [i for i in members if any(table_KK[i][j] is not None for j in members if j != i)]


def of_scores(rule: Rule) -> Rule:
    """The same rule for a judge that scores: P(i beats j) = sigmoid(s_i - s_j)."""

    def of(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
        assert verdict.scores_K is not None, f"{rule.name}_of_scores needs scores"
        compared = Verdict(preferences_KK=bradley_terry(verdict.scores_K))
        return rule.of(group, compared, options, truncated_may_win)

    return replace(rule, name=f"{rule.name}_of_scores", of=of, reads="scores", plans=())


WIN_RATE = Rule(
    name="win_rate",
    source="Wu et al. 2024 (SPPO), arXiv:2405.00675",
    of=win_rate,
    reads="preferences",
    plans=(Plan.all_pairs,),
    labels="win_rate",
)
WIN_RATE_OF_SCORES = of_scores(WIN_RATE)
WIN_RATE_SKEW = Rule(
    name="win_rate_skew",
    source="Zhang et al. 2024 (general preference model, GPO), arXiv:2410.02197",
    of=win_rate_skew,
    reads="preferences",
    plans=(Plan.all_pairs,),
    labels="skew",
)
