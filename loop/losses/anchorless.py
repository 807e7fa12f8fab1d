"""Pairwise losses of log-probs alone: no anchor is kept, and the NLL or a margin holds the policy in its place."""

from __future__ import annotations

from torch import Tensor

from loop.losses import scores, targets
from loop.losses.algebra import pair_function, pair_row
from loop.losses.batch import PairBatch
from loop.losses.kernels import HINGE
from loop.losses.parts import NOTHING, POSITIVE, Domain, Options, Row


def _asft(pairs: PairBatch, o: Options) -> Tensor:
    """-ls(log-odds of chosen) - ls(-log-odds of rejected), which are -log p and -log(1 - p) of the probabilities per
    token: likelihood and unlikelihood."""
    likely = scores.certain_mean(pairs.chosen)
    unlikely = scores.log1mexp(scores.certain_mean(pairs.rejected))
    return -o["scale"] * (likely + unlikely)


ANCHORLESS: tuple[Row, ...] = (
    pair_row(
        "slic_hf",
        "Zhao et al. 2023, arXiv:2305.10425, eq. 1",
        scores.LOG_PROB,
        HINGE,
        target=targets.DELTA,
        domains={"delta": POSITIVE},
        beta=None,
        nll_sum=0.1,
    ),
    pair_row("cpo", "Xu et al. 2024, arXiv:2401.08417", scores.LOG_PROB, nll=1.0),
    pair_row(
        "cpl",
        "contrastive preference learning, Hejna et al. 2023, arXiv:2310.13639",
        scores.CONSERVATIVE,
        domains={"lambda": Domain(lambda share: 0 < share <= 1, "must lie in (0, 1]")},
    ),
    pair_row(
        "simpo",
        "Meng et al. 2024, arXiv:2405.14734, eq. 6",
        scores.MEAN_LOG_PROB,
        shift=targets.GAMMA,
        beta=2.5,
    ),
    pair_row(
        "alphapo",
        "Gupta et al. 2025, arXiv:2501.03884",
        scores.TEMPERED_MEAN,
        shift=targets.GAMMA,
        beta=2.5,
        gamma=0.1,
    ),
    pair_row("orpo", "Hong et al. 2024, arXiv:2403.07691, eq. 6", scores.LOG_ODDS, beta=None, scale=0.1, nll=1.0),
    pair_function("asft", "Wang et al. 2024, arXiv:2409.10571", _asft, NOTHING, scale=0.1, nll=1.0),
    pair_function(
        "simper",
        "Xiao et al. 2025, arXiv:2502.00883",
        lambda pairs, o: pairs.rejected.mean.exp() - pairs.chosen.mean.exp(),
        NOTHING,
    ),
)
