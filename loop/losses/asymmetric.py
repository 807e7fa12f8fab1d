"""Losses that treat the two sides differently, so that each side's own log-ratio matters and not their margin alone."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from loop.losses.algebra import pair_function
from loop.losses.batch import PairBatch
from loop.losses.parts import ANCHOR, NOT_NEGATIVE, Needs, Options, Row


def _rewards(pairs: PairBatch, o: Options) -> tuple[Tensor, Tensor]:
    """beta times each side's log-ratio."""
    return o["beta"] * pairs.chosen.ratio, o["beta"] * pairs.rejected.ratio


def _nca(pairs: PairBatch, o: Options) -> Tensor:
    """-ls(r_w) - ls(-r_w)/2 - ls(-r_l)/2: the chosen reward has its optimum at ln 2."""
    chosen_N, rejected_N = _rewards(pairs, o)
    return softplus(-chosen_N) + (softplus(chosen_N) + softplus(rejected_N)) / 2


def _apo_zero(pairs: PairBatch, o: Options) -> Tensor:
    """1 - sigmoid(r_w) + sigmoid(r_l): chosen up, rejected down."""
    chosen_N, rejected_N = _rewards(pairs, o)
    return (-chosen_N).sigmoid() + rejected_N.sigmoid()


def _apo_down(pairs: PairBatch, o: Options) -> Tensor:
    """sigmoid(r_w) + 1 - sigmoid(r_w - r_l): both down, rejected more."""
    chosen_N, rejected_N = _rewards(pairs, o)
    return chosen_N.sigmoid() + (rejected_N - chosen_N).sigmoid()


def _selm(pairs: PairBatch, o: Options) -> Tensor:
    """DPO and alpha times the reward of the response explored, with a plus sign as in the authors' trainer."""
    explored = pairs.others["explored"]
    return softplus(-o["beta"] * pairs.h) + o["alpha"] * o["beta"] * explored.ratio


ASYMMETRIC: tuple[Row, ...] = (
    pair_function("nca", "noise contrastive, Chen et al. 2024, arXiv:2402.05369, pair form", _nca, beta=0.1),
    pair_function("apo_zero", "D'Oosterlinck et al. 2024, arXiv:2408.06266", _apo_zero, beta=0.1),
    pair_function("apo_down", "D'Oosterlinck et al. 2024, arXiv:2408.06266", _apo_down, beta=0.1),
    pair_function(
        "selm",
        "self-exploring, Zhang et al. 2024, arXiv:2405.19332",
        _selm,
        ANCHOR | Needs(others=("explored",)),
        {"alpha": NOT_NEGATIVE},
        beta=0.01,
        alpha=1e-3,
    ),
)
