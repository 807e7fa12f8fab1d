"""Pairs that say how certain they are, and are drawn by it (UPO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loop.pairing.all_pairs import halves
from loop.pairing.candidates import uniform
from loop.pairing.found import Found, Options, Rule
from loop.uncertainty import information_gain, sampling_weights
from loop.verdict import Group, Verdict
from loop.verdicts import sigmoid


def halves_by_certainty(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """The pairs of `halves`, each with its information gain B = H(mean_t p_t) - mean_t H(p_t) in nats, where p_t is
    what repeat t of the judgements says of P(chosen beats rejected): as compared, or sigmoid(s_chosen - s_rejected).

    With a `count` above 0 at most so many pairs of the group, drawn without replacement with probabilities in
    proportion to 1 - B, by chance that follows from the response ids. A pair of which fewer than two repeats came out
    is left out: nobody knows how certain it is.
    """
    pairs = [
        replace(pair, gain=information_gain(estimates_T))
        for pair in halves(group, verdict, options, truncated_may_win)
        if len(estimates_T := estimates(verdict, *pair.members)) > 1
    ]
    if not int(options["count"]):
        return pairs
    weights = sampling_weights([pair.gain or 0.0 for pair in pairs])
    # The largest of u^(1/weight) are a draw without replacement (Efraimidis and Spirakis 2006).
    keys = [
        uniform("certainty", *(group.responses_K[i].response_id for i in pair.members)) ** (1 / weight)
        for pair, weight in zip(pairs, weights, strict=True)
    ]
    drawn = sorted(range(len(pairs)), key=lambda n: -keys[n])[: int(options["count"])]
    return [pairs[n] for n in sorted(drawn)]


def estimates(verdict: Verdict, i: int, j: int) -> Sequence[float]:
    """What each repeat says of P(i beats j), `[T]`. Repeats of two scores are drawn alike and meet in their order, as
    many as came out of both."""
    if verdict.repeats_KKS is not None:
        return verdict.repeats_KKS[i][j]
    if verdict.repeats_KS is None:
        return ()
    both = zip(verdict.repeats_KS[i], verdict.repeats_KS[j], strict=False)
    return [0.5 if a == b else sigmoid(a - b) for a, b in both]  # two vetoes are even


HALVES_BY_CERTAINTY = Rule(
    name="halves_by_certainty",
    source="Wang et al. 2024 (UPO), arXiv:2409.11212, with repeated judgements for its dropout passes; it draws from "
    "all pairs of a round, this from those of a group",
    of=halves_by_certainty,
    reads="scores",
    options={"count": 0},
    bounds={"count": (0.0, 1e6)},
    gains=True,
)
