"""Token quantities over the whole vocabulary."""

from __future__ import annotations

import math

import pytest
import torch

from loop.losses.vocabulary import alignment, kl_to, sparse_score
from tests.loop.losses.fixtures import tokens_t
from tests.loop.losses.steps import TOLERANCES, close

Tolerance = tuple[torch.dtype, float, float]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_sequence_kl_has_the_anchor_first(tolerance: Tolerance) -> None:
    chosen, rejected = tokens_t(tolerance[0])
    forwards = torch.stack([kl_to(one.anchor_TV, one.policy_TV).sum() for one in (chosen, rejected)])
    close(forwards, [0.044160, 0.061619], tolerance)
    backwards = [kl_to(one.policy_TV, one.anchor_TV).sum().item() for one in (chosen, rejected)]
    assert backwards != pytest.approx([0.044160, 0.061619], abs=1e-4)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_alignment_may_exceed_zero_at_the_mode(tolerance: Tolerance) -> None:
    chosen, rejected = tokens_t(tolerance[0])
    means = [alignment(one.policy_TV, one.tokens_T).mean() for one in (chosen, rejected)]
    close(torch.stack(means).exp(), [1.133185, 0.543767], tolerance)
    assert not means[0].requires_grad


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_masked_tokens_are_left_out_of_the_sparse_score(tolerance: Tolerance) -> None:
    def scores(*masks: tuple[list[float], list[float]]) -> list[torch.Tensor]:
        found = []
        for one, (ratio_mask, kl_mask) in zip(tokens_t(tolerance[0]), masks, strict=True):
            index_T1 = one.tokens_T[:, None]
            ratio_T = (one.policy_TV.log_softmax(-1) - one.anchor_TV.log_softmax(-1)).gather(-1, index_T1)[:, 0]
            both = torch.tensor([ratio_mask, kl_mask], dtype=tolerance[0])
            found.append(sparse_score(ratio_T, kl_to(one.anchor_TV, one.policy_TV), both[0], both[1]))
        return found

    chosen, rejected = scores(([1, 0.5], [0, 0]), ([0.2, 0], [0, 0]))
    close(chosen - rejected, 0.362627, tolerance)
    chosen, rejected = scores(([0, 0], [0.5, 0.5]), ([0, 0], [1, 0]))
    close(rejected - chosen, -0.001008, tolerance)


def test_half_precision_logits_give_float32() -> None:
    torch.manual_seed(0)
    logits_TV, anchor_TV = torch.randn(2, 6, 50, dtype=torch.bfloat16)
    tokens_T = torch.randint(50, (6,))
    for got_T, wide_T in (
        (kl_to(anchor_TV, logits_TV), kl_to(anchor_TV.double(), logits_TV.double())),
        (alignment(logits_TV, tokens_T), alignment(logits_TV.double(), tokens_T)),
    ):
        assert got_T.dtype == torch.float32
        torch.testing.assert_close(got_T.double(), wide_T, rtol=1e-5, atol=1e-6)


def test_tokens_that_the_anchor_rules_out_cost_nothing() -> None:
    anchor_TV = torch.tensor([[0.0, 0.0, -math.inf]])
    policy_TV = torch.tensor([[0.0, 1.0, -math.inf]], requires_grad=True)
    kl_T = kl_to(anchor_TV, policy_TV)
    torch.testing.assert_close(kl_T, kl_to(anchor_TV[:, :2], policy_TV[:, :2]))
    kl_T.sum().backward()
    assert policy_TV.grad is not None and policy_TV.grad.isfinite().all()


def test_gradient_of_the_kl_is_policy_less_anchor() -> None:
    chosen, _ = tokens_t()
    (gradient_TV,) = torch.autograd.grad(kl_to(chosen.anchor_TV, chosen.policy_TV).sum(), chosen.policy_TV)
    torch.testing.assert_close(gradient_TV, chosen.policy_TV.exp().detach() - chosen.anchor_TV.exp())
