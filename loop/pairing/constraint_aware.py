"""Constrained generative policy optimisation (CGPO): constraints veto, the reward decides among what they let pass."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from loop.pairing.candidates import best, known_objectives, worst
from loop.pairing.found import Found, Options, Rule, is_pair, pair_of
from loop.verdict import Group, Verdict
from loop.verdicts import sigmoid


def constraint_aware(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair, of strength 1 (CODPO). Objective 0 is the reward, the others are constraints, passed with 1.

    Chosen is the best reward among responses that pass every constraint, rejected the worst among those that fail one;
    the worst of all when none fails. None when none passes. A response that fails may have the higher reward: the
    margin, chosen's reward less rejected's, is then negative.
    """
    known = known_objectives(group, verdict)
    rewards = {i: row[0] for i, row in known.items()}
    passing = {i: rewards[i] for i, row in known.items() if all(constraint == 1 for constraint in row[1:])}
    failing = {i: reward for i, reward in rewards.items() if i not in passing}
    chosen = best(group, passing, truncated_may_win)
    if chosen is None:
        return []
    rejected = worst(group, failing or rewards)
    separate = bool(failing) or rewards[chosen] > rewards[rejected]
    if not separate or not is_pair(group, chosen, rejected, truncated_may_win):
        return []
    return [pair_of(chosen, rejected, 1.0, rewards[chosen] - rewards[rejected])]


def calibrated(reward: float, baseline: float) -> float:
    """A reward as the probability that a Bradley-Terry judge prefers the response to the prompt's baseline answer."""
    return sigmoid(reward - baseline)


def crpg_rewards(
    rewards_K: Sequence[float], baseline: float, passed_K: Sequence[bool], kl_K: Sequence[float], kl_cap: float
) -> list[float]:
    """Rewards `[K]` of the policy gradient (CRPG): the calibrated reward, falling to 0 as a response's log-ratio to the
    initial policy (`kl_K`, nats) nears `kl_cap`; 0 where a constraint failed. Its weights are these less their mean."""
    return [
        calibrated(reward, baseline) * max(0.0, 1.0 - kl / kl_cap) if passed else 0.0
        for reward, passed, kl in zip(rewards_K, passed_K, kl_K, strict=True)
    ]


def crpg_weights(
    rewards_K: Sequence[float], baseline: float, passed_K: Sequence[bool], kl_K: Sequence[float], kl_cap: float
) -> list[float]:
    """What multiplies each response's log-prob in the policy gradient, `[K]`: `crpg_rewards` less their mean."""
    gained = crpg_rewards(rewards_K, baseline, passed_K, kl_K, kl_cap)
    mean = fmean(gained)
    return [reward - mean for reward in gained]


def crraft(
    rewards_K: Sequence[float],
    baseline: float,
    passed_K: Sequence[bool],
    kl_K: Sequence[float],
    kl_cap: float,
    baseline_passes: bool,
) -> tuple[int | None, float] | None:
    """The response that fine-tuning learns (CRRAFT), and its weight: the best calibrated reward among those that pass
    the constraints with a log-ratio of at most `kl_cap` nats; among equals the first.

    Where there is none it is the baseline answer (position None) with weight 1/2, if that one passes, and else nothing.
    """
    kept = {
        i: calibrated(reward, baseline)
        for i, (reward, passed, kl) in enumerate(zip(rewards_K, passed_K, kl_K, strict=True))
        if passed and kl <= kl_cap
    }
    if not kept:
        return (None, 0.5) if baseline_passes else None
    chosen = max(kept, key=lambda i: kept[i])
    return chosen, kept[chosen]


CONSTRAINT_AWARE = Rule(
    name="constraint_aware",
    source="Xu et al. 2024 (CGPO, its CODPO), arXiv:2409.20370",
    of=constraint_aware,
    reads="objectives",
)
