"""Named losses against published vectors (float64), values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from loop.errors import Refused
from loop.losses import ROWS, Loss, PairBatch, named_loss
from loop.losses.kernels import logistic

# One pair: log-ratios +2 and -4, margin 6; per token the rejected answer is the likelier one, which catches a mean
# for a sum.
PAIR = {"lp_w": -48.0, "lp_l": -64.0, "rf_w": -50.0, "rf_l": -60.0, "n_w": 40.0, "n_l": 60.0}
# One pair with margin 4.
SHORT = {"lp_w": -8.0, "lp_l": -11.0, "rf_w": -10.0, "rf_l": -9.0, "n_w": 4.0, "n_l": 4.0}


def pairs(*rows: dict[str, float], strength: float = 1.0, weight: float = 1.0) -> PairBatch:
    filled = [{"strength": strength, "weight": weight, **row} for row in rows]
    columns = {key: torch.tensor([row[key] for row in filled], dtype=torch.float64) for key in filled[0]}
    columns["lp_w"].requires_grad_()
    columns["lp_l"].requires_grad_()
    return PairBatch(**columns)


def value_and_gradient(loss: Loss, batch: PairBatch) -> tuple[float, float, float]:
    value = loss.evaluate(batch).loss_N.sum()
    gradient_w, gradient_l = torch.autograd.grad(value, [batch.lp_w, batch.lp_l])
    return value.item(), gradient_w.item(), gradient_l.item()


@pytest.mark.parametrize(
    ("loss", "fixture", "strength", "value", "gradient_w", "gradient_l"),
    [
        (named_loss("dpo", 0.1), PAIR, 1.0, 0.437488, -0.035434, 0.035434),
        (named_loss("dpo", 0.1), SHORT, 1.0, 0.513015, -0.0401312, 0.0401312),
        (named_loss("spce", 0.1), SHORT, 1.0, 0.513015, -0.0401312, 0.0401312),
        (named_loss("spce", 0.1), SHORT, 0.8, 0.593015, -0.0201312, 0.0201312),
        (named_loss("spce", 0.1), SHORT, 0.5, 0.713015, 0.0098688, -0.0098688),
        (named_loss("spce", 0.1), SHORT, 0.0, 0.913015, 0.0598688, -0.0598688),
        (named_loss("spce", 0.1), PAIR, 0.8, 0.557488, -0.015434, 0.015434),
        (named_loss("spce", 0.1), PAIR, 0.9, 0.497488, -0.025434, 0.025434),
        (named_loss("dpo", 0.1, nll=0.2), PAIR, 1.0, 0.677488, -0.040434, 0.035434),
        (named_loss("dpo", 0.1, nll=1.0), PAIR, 1.0, 1.637488, -0.060434, 0.035434),
    ],
)
def test_published_vectors(
    loss: Loss, fixture: dict[str, float], strength: float, value: float, gradient_w: float, gradient_l: float
) -> None:
    got = value_and_gradient(loss, pairs(fixture, strength=strength))
    assert got == pytest.approx((value, gradient_w, gradient_l), abs=6e-7)


@pytest.mark.parametrize(("target", "slope"), [(1.0, -0.401312), (0.8, -0.201312), (0.5, 0.098688)])
def test_slope_of_the_logistic_kernel(target: float, slope: float) -> None:
    z_N = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    (gradient_N,) = torch.autograd.grad(logistic(z_N, torch.tensor([target], dtype=torch.float64)).sum(), z_N)
    assert gradient_N.item() == pytest.approx(slope, abs=6e-7)


def test_minimum_of_the_logistic_kernel_is_the_entropy_of_the_target() -> None:
    z_N = torch.tensor([math.log(4)], dtype=torch.float64, requires_grad=True)
    value_N = logistic(z_N, torch.tensor([0.8], dtype=torch.float64))
    (gradient_N,) = torch.autograd.grad(value_N.sum(), z_N)
    assert value_N.item() == pytest.approx(0.500402, abs=6e-7)
    assert gradient_N.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("z", [-1e4, 1e4])
def test_logistic_kernel_stays_finite(z: float) -> None:
    z_N = torch.tensor([z], requires_grad=True)
    value_N = logistic(z_N, torch.ones(1))
    (gradient_N,) = torch.autograd.grad(value_N.sum(), z_N)
    assert value_N.item() == pytest.approx(max(-z, 0.0))
    assert math.isfinite(gradient_N.item())


@pytest.mark.parametrize("name", sorted(ROWS))
def test_gradients_agree_with_finite_differences(name: str) -> None:
    loss = named_loss(name, 0.3, nll=0.1)
    batch = pairs(PAIR, SHORT, strength=0.7, weight=1.5)

    def total(lp_w: Tensor, lp_l: Tensor) -> Tensor:
        moved = {f: getattr(batch, f) for f in ("rf_w", "rf_l", "n_w", "n_l", "strength", "weight")}
        return loss.evaluate(PairBatch(lp_w=lp_w, lp_l=lp_l, **moved)).loss_N

    assert torch.autograd.gradcheck(total, (batch.lp_w, batch.lp_l))


def test_weight_multiplies_the_loss_and_not_the_metrics() -> None:
    loss = named_loss("dpo", 0.1, nll=0.2)
    once, thrice = loss.evaluate(pairs(PAIR)), loss.evaluate(pairs(PAIR, weight=3.0))
    assert thrice.loss_N.item() == pytest.approx(3 * once.loss_N.item())
    assert {k: v.item() for k, v in thrice.named.items()} == {k: v.item() for k, v in once.named.items()}


def test_metrics() -> None:
    named = named_loss("dpo", 0.1).evaluate(pairs(PAIR, {**SHORT, "lp_w": -20.0})).named
    assert {k: v.tolist() for k, v in named.items()} == {
        "margin": [6.0, -8.0],
        "accuracy": [1.0, 0.0],
        "chosen_log_ratio": [2.0, -10.0],
        "rejected_log_ratio": [-4.0, -2.0],
        "nll": [1.2, 5.0],
    }
    assert not any(v.requires_grad for v in named.values())


def test_needs_are_declared() -> None:
    assert {name: (row.score.anchors, row.target.strengths, row.scope) for name, row in ROWS.items()} == {
        "dpo": (1, False, "example"),
        "spce": (1, True, "example"),
    }


def test_unknown_name_is_refused() -> None:
    with pytest.raises(Refused, match="no loss named 'dpoo'"):
        named_loss("dpoo", 0.1)
