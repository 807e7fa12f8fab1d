"""Pairwise losses whose parts are sums over tokens and the whole vocabulary (made by `vocabulary`)."""

from __future__ import annotations

from torch import Tensor

from loop.losses.algebra import pair_row
from loop.losses.batch import PairBatch
from loop.losses.parts import NOT_NEGATIVE, Needs, Options, Part, Row, given
from loop.losses.scores import LOG_RATIO

FULL_ANCHOR = Needs(anchors=1, full_anchor=True)


def _tdpo1(pairs: PairBatch, options: Options) -> Tensor:
    return pairs.h - (given(pairs.rejected.kl) - given(pairs.chosen.kl))


def _tdpo2(pairs: PairBatch, options: Options) -> Tensor:
    return pairs.h - options["alpha"] * (given(pairs.rejected.kl) - given(pairs.chosen.kl).detach())


def _alignment(pairs: PairBatch, options: Options) -> Tensor:
    return (given(pairs.chosen.alignment) + given(pairs.rejected.alignment)).detach().clamp(max=0).exp()


SEQUENCE_KL = Part(_tdpo1, FULL_ANCHOR)
"""Margin of the log-ratios less the difference of the sides' sequence KL(anchor || policy)."""

DETACHED_KL = Part(_tdpo2, FULL_ANCHOR, {"alpha": 0.5})
"""The same with the difference weighed by alpha and the chosen's KL held fixed."""

ALIGNMENT = Part(_alignment, Needs(alignment=True))
"""A factor: how likely the policy of this moment is to give both answers, as a geometric mean per token and without
gradient; the product is at most 1. It weighs any pairwise loss."""

TOKENS: tuple[Row, ...] = (
    pair_row("tdpo1", "Zeng et al. 2024, arXiv:2404.11999", SEQUENCE_KL),
    pair_row("tdpo2", "Zeng et al. 2024, arXiv:2404.11999", DETACHED_KL, domains={"alpha": NOT_NEGATIVE}),
    pair_row("wpo", "Zhou et al. 2024, arXiv:2406.11827", LOG_RATIO, factor=ALIGNMENT, beta=0.01),
)
