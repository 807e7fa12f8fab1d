"""Losses that join a pair with further log-probs of the same answers in other contexts."""

from __future__ import annotations

from torch import Tensor

from loop.losses.algebra import pair_function
from loop.losses.batch import PairBatch
from loop.losses.parts import SHARE, Needs, Options, Row

REVISIONS = ("chosen_given_rejected", "rejected_given_rejected", "chosen_given_chosen", "rejected_given_chosen")
"""Roles: an answer written as the revision of an answer shown in the prompt."""


def improver(pairs: PairBatch, options: Options) -> Tensor:
    """Whichever answer is shown, the log-ratios of the two revisions differ by the preference: the mean of both
    regressions, `[N]`."""
    ratios = {role: side.ratio for role, side in pairs.others.items()}
    rejected_shown_N = ratios["chosen_given_rejected"] - ratios["rejected_given_rejected"]
    chosen_shown_N = ratios["chosen_given_chosen"] - ratios["rejected_given_chosen"]
    better_N = pairs.strength - 0.5
    errors = (options["beta"] * rejected_shown_N - better_N, options["beta"] * chosen_shown_N - better_N)
    return (errors[0].square() + errors[1].square()) / 2


def robust(pairs: PairBatch, options: Options) -> Tensor:
    """The generator's own margin and what a revision would still move make up the preference, `[N]`."""
    moved_N = pairs.others["chosen_given_rejected"].ratio - pairs.others["rejected_given_chosen"].ratio
    return (options["beta"] / 2 * (pairs.h + moved_N) - (pairs.strength - 0.5)).square()


def _srpo(pairs: PairBatch, options: Options) -> Tensor:
    return (1 - options["alpha"]) * improver(pairs, options) + options["alpha"] * robust(pairs, options)


MIXED: tuple[Row, ...] = (
    pair_function(
        "srpo",
        "Choi et al. 2024, arXiv:2406.01660",
        _srpo,
        Needs(anchors=1, strengths=True, others=REVISIONS),
        {"alpha": SHARE},
        beta=0.1,
        alpha=0.25,
    ),
)
