"""Where numbers end: large log-ratios, certain answers, no tokens at all."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from loop.losses import PairBatch, Side, named_loss
from loop.losses.scores import CHI_SQUARED, FORWARD_KL, LOG_ODDS, log1mexp
from tests.loop.losses.algebra_test import NAMES, ROLES
from tests.loop.losses.fixtures import P, pair_batch, value_and_gradients


@pytest.mark.parametrize("name", ["f_forward_kl", "chi_po"])
def test_an_exponential_counts_up_to_e_to_the_80(name: str) -> None:
    score, sign = (FORWARD_KL, -1.0) if name == "f_forward_kl" else (CHI_SQUARED, 1.0)
    for far, expected in ((60.0, math.exp(60)), (79.0, math.exp(79)), (81.0, math.exp(80))):
        batch = pair_batch({"lp_w": sign * far, "lp_l": 0.0})
        value = score.of(batch, {})
        assert value.item() == pytest.approx(sign * expected)
        (slope_N,) = torch.autograd.grad(value.sum(), batch.chosen.lp)
        exponentials = expected if far < 80 else 0.0
        assert slope_N.item() == pytest.approx(exponentials + (name == "chi_po"))


@pytest.mark.parametrize(
    ("x", "expected"),
    # Series of log(1 - e^x): log(-x) + x/2 near 0, -e^x - e^2x/2 far from it.
    [(-1e-10, math.log(1e-10) - 5e-11), (-1e-5, math.log(1e-5) - 5e-6), (-19.0, -math.exp(-19) - math.exp(-38) / 2)],
)
def test_log_of_one_less_a_probability_is_exact_at_both_ends(x: float, expected: float) -> None:
    assert log1mexp(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-11, abs=0)


@pytest.mark.parametrize(("mean", "odds"), [(-1e-5, 11.512920), (-2e-6, 13.122362), (0.0, 13.815510)])
def test_odds_are_cut_off_at_a_millionth_only(mean: float, odds: float) -> None:
    certain, even = {"lp_w": 40 * mean, "n_w": 40.0}, {"lp_l": -math.log(2), "n_l": 1.0}
    assert LOG_ODDS.of(pair_batch({**certain, **even}), {}).item() == pytest.approx(odds, abs=1e-6)


def test_a_response_without_learnt_tokens_has_a_mean_of_zero() -> None:
    batch = pair_batch({**P, "lp_w": 0.0, "rf_w": 0.0, "n_w": 0.0})
    assert (batch.chosen.mean.item(), batch.chosen.mean_ratio.item()) == (0.0, 0.0)
    for name in ("simpo", "ln_dpo"):
        assert all(map(math.isfinite, value_and_gradients(named_loss(name), batch))), name


def corners(dtype: torch.dtype) -> PairBatch:
    """Every combination of log-probs 0 and -1e4 under policy and anchor, on both sides."""
    columns = torch.tensor(list(itertools.product((0.0, -1e4), repeat=4)), dtype=dtype).T
    lp_w, rf_w, lp_l, rf_l = (column.clone() for column in columns)
    half = torch.full_like(lp_w, 0.5)

    def side(lp: Tensor, rf: Tensor) -> Side:
        return Side(
            lp=lp.requires_grad_(), rf=rf, n=half + 9.5, second=rf.flip(0), label=half, common=(lp - rf).detach() / 2
        )

    return PairBatch(
        chosen=side(lp_w, rf_w),
        rejected=side(lp_l, rf_l),
        strength=half + 0.3,
        margin=half,
        weight=half * 2,
        gain=half,
        others={role: side(lp_w.detach().clone(), rf_w) for role in ROLES},
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_extreme_log_probs_give_finite_losses_and_gradients(name: str, dtype: torch.dtype) -> None:
    batch = corners(dtype)
    loss_N = named_loss(name).evaluate(batch).loss_N
    assert loss_N.dtype == dtype
    gradients = torch.autograd.grad(loss_N.sum(), [batch.chosen.lp, batch.rejected.lp], materialize_grads=True)
    assert all(bool(one.isfinite().all()) for one in (loss_N, *gradients))
