"""How the policy's samples do against others that do not take part: opponents, or a baseline (Nash-MD)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from loop.config import Plan
from loop.pairing.candidates import by_id, by_number
from loop.pairing.found import Found, Options, Rule, may_win, single_of
from loop.verdict import Group, Verdict
from loop.verdicts import COMPARED_ONLY, Table


def opponent_win_rate(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every sample of the policy alone, labelled with the mean over opponents y' of P(it beats y'), in [0, 1]. Who
    learns from that follows the gradient of E[(label - 1/2 - beta * log-ratio) * lp], up where the sample wins.

    Opponents are the responses of purpose `opponent` and `baseline`, of which anything is known; where the group has
    none, its first sample, which is then no example. Samples with a hole are left out. Every draw is an example, also
    one with the same tokens as another: an optimiser step is a mean over draws. A truncated sample with a label above
    one half is left out unless it may win.
    """
    table_KK = verdict.preferences_KK
    assert table_KK is not None, "win rates need preferences"
    own = by_number(group, "train")
    rivals = known_opponents(group, table_KK, own)
    if not has_opponents(group):
        rivals = [group.baseline]
        own = [i for i in own if i != group.baseline]
    rates = {i: rate for i in own if (rate := mean_win_rate(table_KK, i, rivals)) is not None}
    kept = {i: rate for i, rate in rates.items() if rate <= 0.5 or may_win(group, i, truncated_may_win)}
    return [single_of(i, kept[i]) for i in by_id(group, kept)]


def has_opponents(group: Group) -> bool:
    """Whether a response stands in the group to be compared with."""
    return any(response.purpose in COMPARED_ONLY for response in group.responses_K)


def known_opponents(group: Group, table_KK: Table, samples: Sequence[int]) -> list[int]:
    """Positions of the opponents, the baseline among them, with which any of the samples was compared. A plan may ask
    about one of several, and one that the judge could not read spoils no sample."""
    return [
        k
        for k, response in enumerate(group.responses_K)
        if response.purpose in COMPARED_ONLY and any(table_KK[i][k] is not None for i in samples)
    ]


def mean_win_rate(table_KK: Table, i: int, opponents: Sequence[int]) -> float | None:
    """The mean over opponents of P(i beats it); None without any, or where one is not known."""
    known = [p for k in opponents if (p := table_KK[i][k]) is not None]
    return fmean(known) if known and len(known) == len(opponents) else None


OPPONENT_WIN_RATE = Rule(
    name="opponent_win_rate",
    source="Munos et al. 2023 (Nash-MD), arXiv:2312.00886",
    of=opponent_win_rate,
    reads="preferences",
    gives="single",
    labels="win_rate",
    plans=(Plan.against_baseline, Plan.all_pairs),
)
