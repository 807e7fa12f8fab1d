"""What a learner's probe is made of, and what it comes to. Pure; `actors.learner_probe` reads.

Every choice follows from ids, so that a probe that is repeated chooses the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from loop.diagnostics.figures import ideal_ranking_accuracy, implicit_accuracy, ranking_accuracy
from loop.records import seed_of

ANSWERS_PER_EXAMPLE = 2
"""Answers to held-out prompts in a probe, for each of its examples."""


@dataclass(frozen=True, slots=True)
class ProbePair:
    """An example of the probe by the ids of its responses: its two sides, and a third response of the same group that
    stands on neither, where there is one."""

    chosen: str
    rejected: str
    third: str | None
    strength: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the learnt tokens of one response: how many there are, log-probs under the present weights (`now`) and
    under the policy with which the round began (`before`) and the loss's first anchor (`reference`; None where they are
    not known), top entropy and mass, absolute differences to the log-probs that came with the response (`gap`), and the
    divergences from anchors by their kind (`loop.diagnostics.figures.kl_tokens`)."""

    tokens: int
    now: float
    before: float | None = None
    reference: float | None = None
    entropy: float = 0.0
    mass: float = 0.0
    gap: float | None = None
    kl: Mapping[str, float] = field(default_factory=dict)


def chosen_by_id(ids: Iterable[str], most: int, *parts: object) -> list[str]:
    """At most so many of some ids, by chance that follows from the ids themselves."""
    return sorted(ids, key=lambda one: (seed_of("probe", *parts, one), one))[:most]


def third_of(texts: Mapping[str, str], chosen: str, rejected: str) -> str | None:
    """A response of a group, whose `texts` stand by id, that is on neither side and says something else than both; by
    the same kind of chance."""
    sides = {texts.get(chosen), texts.get(rejected)}
    return next(iter(chosen_by_id((one for one, text in texts.items() if text not in sides), 1)), None)


def of_pairs(pairs: Sequence[ProbePair], read: Mapping[str, Sums], beta: float | None) -> dict[str, float]:
    """Figures of the probe's examples. Changes are nats per token, means over tokens; `margin` nats per pair, mean.
    Divergences on the two sides are too large, because wrong answers have more than their share there.

    `beta` is the loss's, where it has one; the ideal is told where strengths are not all 1.
    """
    whole = [one for one in pairs if one.chosen in read and one.rejected in read]
    if not whole:
        return {}
    chosen = [read[one.chosen] for one in whole]
    rejected = [read[one.rejected] for one in whole]
    third = [read[one.third] for one in whole if one.third is not None and one.third in read]
    told = {
        "chosen_change": _change(chosen),
        "rejected_change": _change(rejected),
        "third_change": _change(third),
        "margin": _margin(chosen, rejected),
        "ranking_accuracy": ranking_accuracy([one.now for one in chosen], [one.now for one in rejected]),
        "ranking_accuracy_mean": ranking_accuracy([_mean(one) for one in chosen], [_mean(one) for one in rejected]),
        **_against_reference(whole, chosen, rejected, beta),
        **_divergences([*chosen, *rejected]),
    }
    return {name: value for name, value in told.items() if math.isfinite(value)}


def of_samples(samples: Sequence[Sums]) -> dict[str, float]:
    """Divergences from anchors that are known on samples chosen without a look at the judge: no estimate leans to one
    side."""
    return _divergences(samples)


def of_answers(answers: Sequence[Sums]) -> dict[str, float]:
    """Figures of the policy's own answers, means over tokens."""
    tokens = sum(one.tokens for one in answers)
    if not tokens:
        return {}
    told = {
        "top_entropy": sum(one.entropy for one in answers) / tokens,
        "top_mass": sum(one.mass for one in answers) / tokens,
    }
    own = [(one.gap, one.tokens) for one in answers if one.gap is not None]
    if own:
        told["sampler_gap"] = sum(gap for gap, _ in own) / sum(n for _, n in own)
    return told


def _mean(one: Sums) -> float:
    return one.now / one.tokens if one.tokens else 0.0


def _change(some: Sequence[Sums]) -> float:
    moved = [(one.now - one.before, one.tokens) for one in some if one.before is not None and one.tokens]
    return sum(change for change, _ in moved) / sum(n for _, n in moved) if moved else math.nan


def _margin(chosen: Sequence[Sums], rejected: Sequence[Sums]) -> float:
    margins = [
        (one.now - one.before) - (other.now - other.before)
        for one, other in zip(chosen, rejected, strict=True)
        if one.before is not None and other.before is not None
    ]
    return float(np.mean(margins)) if margins else math.nan


def _against_reference(
    pairs: Sequence[ProbePair], chosen: Sequence[Sums], rejected: Sequence[Sums], beta: float | None
) -> dict[str, float]:
    known = [
        (pair.strength, one.now - one.reference, other.now - other.reference, one.reference - other.reference)
        for pair, one, other in zip(pairs, chosen, rejected, strict=True)
        if one.reference is not None and other.reference is not None
    ]
    if not known:
        return {}
    strength_N, chosen_N, rejected_N, gap_N = np.asarray(known).T
    told = {"implicit_accuracy": implicit_accuracy(chosen_N, rejected_N)}
    if beta is not None and (strength_N < 1).any():
        told["ideal_ranking_accuracy"] = ideal_ranking_accuracy(strength_N, gap_N, beta)
    return told


def _divergences(some: Sequence[Sums]) -> dict[str, float]:
    kinds = dict.fromkeys(kind for one in some for kind in one.kl)
    found = {kind: [(one.kl[kind], one.tokens) for one in some if kind in one.kl] for kind in kinds}
    return {
        f"kl_{kind}": sum(kl for kl, _ in known) / tokens
        for kind, known in found.items()
        if (tokens := sum(n for _, n in known))
    }
