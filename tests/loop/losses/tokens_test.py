"""Token-level pair losses and the on-policy weight."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from loop.losses import Loss, PairBatch, Side, named_loss
from loop.losses.vocabulary import alignment, kl_to
from tests.loop.losses.fixtures import Distributions, tokens_t
from tests.loop.losses.steps import central_differences, gradients


def side(of: Distributions) -> Side:
    kl = kl_to(of.anchor_TV, of.policy_TV).sum().reshape(1)
    return replace(of.side(), kl=kl, alignment=alignment(of.policy_TV, of.tokens_T).mean().reshape(1))


def pair(chosen: Distributions, rejected: Distributions) -> PairBatch:
    one = torch.ones(1, dtype=chosen.policy_TV.dtype)
    return PairBatch(chosen=side(chosen), rejected=side(rejected), strength=one, margin=0 * one, weight=one)


def value(loss: Loss, chosen: Distributions, rejected: Distributions) -> Tensor:
    return loss.evaluate(pair(chosen, rejected)).loss_N.sum()


def test_log_ratios_of_the_fixture() -> None:
    chosen, rejected = tokens_t()
    ratios = [chosen.side().ratio.item(), rejected.side().ratio.item()]
    assert ratios == pytest.approx([0.470004, -0.587787], abs=1e-6)


def test_first_form_differentiates_both_divergences() -> None:
    sides, loss = tokens_t(), named_loss("tdpo1")
    for of in sides:
        (got,) = torch.autograd.grad(value(loss, *sides), of.policy_TV)
        torch.testing.assert_close(got, central_differences(lambda: value(loss, *sides), of.policy_TV.detach()))


def test_second_form_holds_the_divergence_of_the_chosen_side_fixed() -> None:
    sides, loss = tokens_t(), named_loss("tdpo2")
    fixed = side(sides[0]).kl.detach()

    def with_fixed_kl() -> Tensor:
        pairs = pair(*sides)
        return loss.evaluate(replace(pairs, chosen=replace(pairs.chosen, kl=fixed))).loss_N.sum()

    for of, moves in zip(sides, (with_fixed_kl, lambda: value(loss, *sides)), strict=True):
        (got,) = torch.autograd.grad(value(loss, *sides), of.policy_TV)
        torch.testing.assert_close(got, central_differences(moves, of.policy_TV.detach()))
    free = central_differences(lambda: value(loss, *sides), sides[0].policy_TV.detach())
    assert not torch.allclose(torch.autograd.grad(value(loss, *sides), sides[0].policy_TV)[0], free, atol=1e-5)


def test_weight_scales_the_gradient_and_has_none_of_its_own() -> None:
    sides = tokens_t()
    weighted, plain = (
        torch.autograd.grad(value(named_loss(name, {"beta": 0.1}), *sides), sides[0].policy_TV)[0]
        for name in ("wpo", "dpo")
    )
    torch.testing.assert_close(weighted, 0.616189 * plain, rtol=1e-5, atol=1e-7)
    pairs, mean = pair(*sides), torch.tensor([-0.5], dtype=torch.float64, requires_grad=True)
    pairs = replace(pairs, chosen=replace(pairs.chosen, alignment=mean))
    assert gradients(named_loss("wpo").evaluate(pairs).loss_N.sum(), [mean])[0].item() == 0


def test_product_of_the_weights_is_at_most_one() -> None:
    chosen, _ = tokens_t()
    torch.testing.assert_close(
        value(named_loss("wpo", {"beta": 0.1}), chosen, chosen), value(named_loss("dpo"), chosen, chosen)
    )


@pytest.mark.parametrize("far", [-1e4, 1e4])
def test_weight_stays_finite(far: float) -> None:
    pairs = pair(*tokens_t())
    chosen = replace(pairs.chosen, alignment=torch.tensor([far], dtype=torch.float64))
    assert named_loss("wpo").evaluate(replace(pairs, chosen=chosen)).loss_N.isfinite().all()


@pytest.mark.parametrize("name", ["tdpo1", "tdpo2"])
def test_a_full_anchor_is_declared(name: str) -> None:
    needs = named_loss(name).needs
    assert (needs.anchors, needs.full_anchor, needs.alignment) == (1, True, False)


def test_weight_declares_the_policys_own_distribution() -> None:
    needs = named_loss("wpo").needs
    assert (needs.anchors, needs.full_anchor, needs.alignment) == (1, False, True)
