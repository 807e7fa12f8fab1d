"""Squared losses: log-ratios regress to a number of nats that the labels give. Sums over tokens, since targets are
large."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from loop.losses import scores, targets
from loop.losses.algebra import pair_function, pair_row
from loop.losses.batch import PairBatch, Side
from loop.losses.kernels import SQUARED
from loop.losses.parts import Domain, Needs, Options, Row, given
from loop.losses.scores import LOG_RATIO

OF_MARGIN: tuple[Row, ...] = (
    pair_row(
        "ipo",
        "Azar et al. 2023, arXiv:2310.12036, eq. 17",
        LOG_RATIO,
        SQUARED,
        target=targets.HALF_STEP,
        beta=None,
    ),
    pair_row(
        "ipo_mean",
        "Azar et al. 2023, arXiv:2310.12036, eq. 17, log-ratios per token as its authors run it",
        scores.MEAN_LOG_RATIO,
        SQUARED,
        target=targets.HALF_STEP,
        beta=None,
    ),
    pair_row(
        "online_ipo",
        "Calandriello et al. 2024, arXiv:2403.08635, with soft labels",
        LOG_RATIO,
        SQUARED,
        target=targets.ADVANTAGE,
        beta=None,
    ),
    pair_row(
        "omd",
        "online mirror descent, a step of EGPO and Nash-MD, Zhou et al. 2025, arXiv:2503.08942",
        LOG_RATIO,
        SQUARED,
        target=targets.WIN_RATE_GAP,
        beta=None,
    ),
    pair_row(
        "inpo",
        "iterative Nash, Zhang et al. 2024, arXiv:2407.00617, eq. 8; its tau is share * eta",
        scores.TWO_ANCHORS,
        SQUARED,
        target=targets.HALF_ETA,
        beta=None,
        domains={"share": Domain(lambda share: 0 <= share < 1, "must lie in [0, 1)")},
    ),
    pair_row(
        "distilled",
        "reward distillation, Fisch et al. 2024, arXiv:2405.19316; REBEL, arXiv:2404.16767",
        LOG_RATIO,
        SQUARED,
        target=targets.MARGIN,
    ),
)
"""The margin of both sides regresses."""

Quality = Callable[[Side], Tensor | float]


def _each_alone(chosen: Quality, rejected: Quality) -> Callable[[PairBatch, Options], Tensor]:
    """scale * [(ratio_w - q_w/beta)^2 + (ratio_l - q_l/beta)^2], q a side's quality above that of the average one."""

    def of(pairs: PairBatch, o: Options) -> Tensor:
        chosen_N = pairs.chosen.ratio - chosen(pairs.chosen) / o["beta"]
        rejected_N = pairs.rejected.ratio - rejected(pairs.rejected) / o["beta"]
        return o["scale"] * (chosen_N.square() + rejected_N.square())

    return of


def _win_rate(side: Side) -> Tensor:
    """The label is the probability to beat the sampling policy; a half is average."""
    return given(side.label) - 0.5


def _mean_score(side: Side) -> Tensor:
    """The label is the mean skew-symmetric score against the sampling policy; zero is average."""
    return given(side.label)


OF_EACH_SIDE: tuple[Row, ...] = (
    pair_function(
        "sppo",
        "self-play, Wu et al. 2024, arXiv:2405.00675, eq. 4.6",
        _each_alone(_win_rate, _win_rate),
        Needs(anchors=1, labels="win_rate"),
        beta=1e-3,
        scale=0.5,
    ),
    pair_function(
        "sppo_hard",
        "self-play, Wu et al. 2024, arXiv:2405.00675, chosen always wins; without the half, as usually run",
        _each_alone(lambda side: 0.5, lambda side: -0.5),
        beta=1e-3,
        scale=1.0,
    ),
    pair_function(
        "gpo",
        "general preference, Zhang et al. 2024, arXiv:2410.02197",
        _each_alone(_mean_score, _mean_score),
        Needs(anchors=1, labels="skew"),
        beta=1e-3,
        scale=0.5,
    ),
)
"""Each side regresses alone, which anchors likelihoods and not only their margin."""

REGRESSION: tuple[Row, ...] = (*OF_MARGIN, *OF_EACH_SIDE)
