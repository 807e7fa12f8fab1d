"""Several judges of one scale as one, and what their disagreement does.

Sources: Coste et al. 2023, arXiv:2310.02743 (mean, worst case, and mean less the variance); Wang et al. 2024 (Secrets
of RLHF II), arXiv:2401.06080 (the share of members that prefer a response).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev, pvariance

from loop.errors import Refused
from loop.judge_config import Combine, Disagreement, EnsembleConfig
from loop.judges.judge import Asked, Judge, Reply
from loop.judges.members import cut_of, failed, label_of, told, usage_of
from loop.verdicts import VETO, logit, sigmoid


class Ensemble:
    """Asks every member every question. A reply stands only if no member failed: one of fewer members would not compare
    with the others.

    An ensemble that abstains (members differ by more than `max_spread`, a standard deviation in their own unit) is
    undecided: one half for two responses; for a single one no number at all, a hole that decides no pair and is not
    counted as a failure. A member without a number makes the ensemble abstain too.
    """

    def __init__(self, config: EnsembleConfig, members: Mapping[str, Judge]) -> None:
        """Raises: Refused when there is nothing to combine."""
        if len(members) < 2:
            raise Refused(f"judge.members: an ensemble needs two members or more, this one has {len(members)}")
        self.config = config
        self.members = dict(members)

    def version(self, policy: str) -> str:
        """The rule, and a digest of settings and members."""
        config, name = self.config, f"ensemble-{self.config.combine.value}"
        settings = (config.combine.value, config.penalty, config.disagreement.value, config.max_spread)
        return label_of(name, settings, self.members, policy)

    def usage(self) -> dict[str, float]:
        """The members' counters."""
        return usage_of(self.members)

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """The raw JSON tells each member's status and value."""
        by_member = [judge.answer(asked, policy) for judge in self.members.values()]
        return [self._one(one, replies) for one, replies in zip(asked, zip(*by_member, strict=True), strict=True)]

    def _one(self, asked: Asked, replies: Sequence[Reply]) -> Reply:
        raw = json.dumps({name: told(reply) for name, reply in zip(self.members, replies, strict=True)})
        if any(failed(reply) for reply in replies):
            return Reply(raw, "failed", None, cut_of(replies))
        values_M = [reply.value for reply in replies if reply.value is not None]
        complete = len(values_M) == len(replies)
        if asked.question.kind == "pairwise":
            p = preference(self.config, values_M) if complete else 0.5
            return Reply(raw, "undecided" if p == 0.5 else "decided", p, cut_of(replies))
        score = combined_score(self.config, values_M) if complete else None
        return Reply(raw, "undecided" if score is None else "decided", score, cut_of(replies))


def combined_score(config: EnsembleConfig, scores_M: Sequence[float]) -> float | None:
    """One score of the members' `[M]`; None when they abstain. One member's veto is the ensemble's. Only `abstain`
    concerns scores: the other kinds of disagreement speak of preferences."""
    if VETO in scores_M:
        return VETO
    if config.disagreement is Disagreement.abstain and pstdev(scores_M) > config.max_spread:
        return None
    if config.combine is Combine.minimum:
        return min(scores_M)
    mean = fmean(scores_M)
    return mean - config.penalty * pvariance(scores_M) if config.combine is Combine.pessimistic else mean


def preference(config: EnsembleConfig, probabilities_M: Sequence[float]) -> float:
    """One probability of the members' `[M]`; one half when they abstain. Turned probabilities give the complement,
    exactly where the members' own are complements."""
    leanings_M = [p - 0.5 for p in probabilities_M]
    disagreement = config.disagreement
    if disagreement is Disagreement.abstain and pstdev(leanings_M) > config.max_spread:
        return 0.5
    if disagreement is Disagreement.strength:
        return _probability(fmean(_side(x) / 2 for x in leanings_M))
    leaning = _combined(config, leanings_M)
    if disagreement is Disagreement.margin and (spread := pstdev([_side(x) * logit(0.5 + abs(x)) for x in leanings_M])):
        shrunk = sigmoid(logit(0.5 + abs(leaning)) / (1.0 + spread)) - 0.5
        leaning = math.copysign(shrunk, leaning)
    return _probability(leaning)


def _combined(config: EnsembleConfig, leanings_M: Sequence[float]) -> float:
    """How far the ensemble's probability is from one half. Minimum: as far as the member nearest to it, or not at all
    when members stand on both sides. Pessimistic: nearer by penalty x variance, and never past it."""
    mean = fmean(leanings_M)
    if config.combine is Combine.minimum:
        one_side = len({_side(x) for x in leanings_M}) == 1
        return min(leanings_M, key=abs) if one_side else 0.0
    if config.combine is Combine.pessimistic:
        return _side(mean) * max(0.0, abs(mean) - config.penalty * pvariance(leanings_M))
    return mean


def _side(leaning: float) -> float:
    """1 towards the first response, -1 towards the second, 0 for neither."""
    return float((leaning > 0) - (leaning < 0))


def _probability(leaning: float) -> float:
    """One half plus the leaning. The half above is computed and the one below is its complement, so that two turned
    questions add up to 1 exactly."""
    larger = min(1.0, 0.5 + abs(leaning))
    return larger if leaning >= 0 else 1.0 - larger
