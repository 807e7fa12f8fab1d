"""Anchors: the frozen policies whose log-probs enter a loss. Which versions serve, with which weights, and whether the
log-probs need computing at all.

Anchors change between rounds only: within one, a response's anchor log-probs are constants that are computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from loop.config_types import DType
from loop.errors import Refused
from loop.records import PolicyVersion, digest_of, seed_of

if TYPE_CHECKING:
    from torch import Tensor

Options = Mapping[str, float]
N = TypeVar("N", float, "Tensor")

KINDS: dict[str, Options] = {
    # No anchor: a loss of the policy's log-probs alone.
    "none": {},
    # The policy that the run started from (DPO's reference).
    "initial": {},
    # The policy with which the round began, its sampler (self-play's opponent).
    "previous": {},
    # The policy at the last reset; one every so many rounds (magnetic preference optimisation, arXiv:2410.16714).
    "magnet": {"reset_every": 2.0},
    # One of the versions with which rounds began, drawn anew in every round (SePPO, arXiv:2410.05255).
    "random_past": {},
    # previous^(1-weight) * initial^weight; see `combine` (Nash-MD, arXiv:2312.00886).
    "mixture": {"weight": 0.125},
    # A shadow of the weights that follows the policy; see `ema` (TR-DPO, arXiv:2404.09656).
    "ema": {"alpha": 0.6, "every": 512.0},
}
"""The options of each kind of anchor with their defaults."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What serves as one anchor in one round: labels of frozen policies and the weight of each one's log-probs. The
    weights are positive and sum to one; there are no labels for `none`."""

    labels: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()


def anchor_options(kind: str, options: Mapping[str, float] | None = None) -> Options:
    """The options of an anchor, defaults filled in. Raises: Refused for a kind, an option or a value that there is
    not."""
    if kind not in KINDS:
        raise Refused(f"there is no anchor named {kind!r}; there are {', '.join(KINDS)}")
    given = dict(options or {})
    if unknown := sorted(set(given) - set(KINDS[kind])):
        raise Refused(f"anchor {kind} has no option {unknown[0]!r}; it has {', '.join(sorted(KINDS[kind])) or 'none'}")
    for name, value in given.items():
        if name in {"reset_every", "every"} and not (value >= 1 and float(value).is_integer()):
            raise Refused(f"anchor {kind}: {name}={value} must be a whole number from 1")
        if name == "weight" and not 0 <= value <= 1:
            raise Refused(f"anchor {kind}: weight={value} must lie in 0 to 1")
        if name == "alpha" and not 0 < value <= 1:
            raise Refused(f"anchor {kind}: alpha={value} must lie above 0 and up to 1")
    return {**KINDS[kind], **given}


def resolve(
    kind: str, round: int, history: Sequence[PolicyVersion], options: Mapping[str, float] | None, seed: int
) -> Resolved:
    """Which policies serve as an anchor in a round (counted from 1).

    `history[i]` is the version with which round i + 1 began, so `history[0]` is the initial policy and a round after a
    rejected one begins with the incumbent again. Only `history[:round]` matters: a resumed run resolves the same.
    Raises: Refused as `anchor_options` does.
    """
    own = anchor_options(kind, options)
    initial, previous = str(history[0]), str(history[round - 1])
    match kind:
        case "none":
            return Resolved()
        case "initial":
            return _weighed({initial: 1.0})
        case "previous":
            return _weighed({previous: 1.0})
        case "magnet":
            every = int(own["reset_every"])
            return _weighed({str(history[(round - 1) // every * every]): 1.0})
        case "random_past":
            past = list(dict.fromkeys(history[:round]))  # a version that came back after a rejection counts once
            return _weighed({str(past[seed_of("anchor", seed, round) % len(past)]): 1.0})
        case "mixture":
            if initial == previous:
                return _weighed({initial: 1.0})
            return _weighed({previous: 1.0 - own["weight"], initial: own["weight"]})
        case "ema":
            return _weighed({ema_label(history[0], history[round - 1], own): 1.0})
    raise AssertionError(f"{kind} stands in KINDS")


def still_needed(
    kind: str, round: int, history: Sequence[PolicyVersion], options: Mapping[str, float] | None
) -> set[PolicyVersion]:
    """The versions in `history[:round]` whose weights an anchor may ask for in this round or a later one: checkpoints
    that must be kept. An `ema` shadow is none of them; it is part of the learner's state."""
    own, initial, previous = anchor_options(kind, options), history[0], history[round - 1]
    match kind:
        case "initial":
            return {initial}
        case "previous":
            return {previous}
        case "mixture":
            return {initial, previous}
        case "magnet":
            every = int(own["reset_every"])
            return {history[(round - 1) // every * every]}
        case "random_past":
            return set(history[:round])
    return set()


def combine(weights: Sequence[float], logprobs: Sequence[Sequence[float] | np.ndarray]) -> np.ndarray:
    """Log-probs of one response under an anchor, float32 `[R]`, from those under each of its policies `[R]`, with the
    weights of `Resolved`: `sum_i w_i * log pi_i(y_t | x, y_<t)`.

    The sum over tokens is the log of `prod_i pi_i(y | x)^w_i`, which lacks the normaliser log Z(x) <= 0. That depends
    on the prompt alone: it cancels from a margin between two responses to one prompt, so a pairwise loss of the margin
    is exact. In a loss of single responses (or of each side alone) it does not: every log-ratio to the mixture is too
    large by -log Z(x), a divergence between the policies mixed.
    """
    terms = [w * np.asarray(row, np.float64) for w, row in zip(weights, logprobs, strict=True)]
    return np.sum(terms, axis=0).astype(np.float32)


def ema(shadow: N, policy: N, alpha: float) -> N:
    """One update of a shadow of the weights, `alpha * policy + (1 - alpha) * shadow`, for numbers or tensors (float32:
    in bfloat16 a small alpha is lost in rounding).

    TR-DPO updates softly with alpha below 1; 1 is its hard update.
    """
    return alpha * policy + (1 - alpha) * shadow


def ema_due(step: int, every: float) -> bool:
    """Whether the shadow is updated after an optimiser step (counted over the run, from 1)."""
    return step > 0 and step % int(every) == 0


def ema_label(initial: PolicyVersion, version: PolicyVersion, options: Options) -> str:
    """The label of the shadow as it stood when a version had been made.

    It names the version because the shadow depends on every step on the way there: after a rollback it is that of the
    version gone back to. Before the first update the shadow is the initial policy, and goes by its label.
    """
    if version.step < options["every"]:
        return str(initial)
    return f"ema-{options['alpha']:g}-{options['every']:g}@{version}"


def logprobs_key(context_T: Sequence[int], response_T: Sequence[int], weights: str, dtype: DType, source: str) -> str:
    """The name under which log-probs of a response are kept, one float32 per response token.

    They depend on the tokens before and in the response, the anchor's weights (by their digest), the number format and
    who computed them (`sampler` or `learner`): engines differ in rounding. Round, labels, ids and text do not enter.
    """
    tokens = [int(t) for t in context_T], [int(t) for t in response_T]
    return digest_of("logprobs", *tokens, weights, dtype.value, source)


def sampler_serves(anchor: Resolved, sampled_by: str, gap: float, tolerance: float, dtype: DType) -> bool:
    """Whether the log-probs that came with a response may stand for the anchor's, so that none need be computed.

    The anchor must be the very policy that sampled it (`Response.policy`: a replayed response has another one), and
    sampler and learner must agree within the tolerance (nats per token, `gap` as probed on fixed texts). In other
    formats than float32 decoding differs from a forward pass by more than those texts show.
    """
    return anchor.labels == (sampled_by,) and dtype is DType.float32 and gap <= tolerance


def needs_log_probs(sampled_by: str, logprobs: int, policy: str) -> bool:
    """Whether a response's log-probs under a policy must be computed even where the sampler's own would serve:
    it is not this policy that sampled it, or of its tokens no log-probs came with it (`logprobs` counts them)."""
    return sampled_by != policy or not logprobs


def _weighed(weights: Mapping[str, float]) -> Resolved:
    kept = {label: weight for label, weight in weights.items() if weight}
    return Resolved(tuple(kept), tuple(kept.values()))
