"""Pairwise losses on small pairs: values and gradients computed from the papers' formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from loop.losses import Side, named_loss
from tests.loop.losses.fixtures import F1, Numbers, P, pair_batch, value_and_gradients


class Vector(NamedTuple):
    """A loss's value on one pair, and its derivatives by the chosen and the rejected log-prob."""

    name: str
    pair: Numbers
    value: float
    gradients: tuple[float, float] | None
    options: Numbers


def vector(name: str, pair: Numbers, value: float, *gradients: float, **options: float) -> Vector:
    """One gradient means that the loss is a function of the margin; none, that none was published."""
    by_side = (gradients[0], gradients[1] if len(gradients) == 2 else -gradients[0]) if gradients else None
    return Vector(name, pair, value, by_side, options)


def ratios(chosen: float, rejected: float, **more: float) -> Numbers:
    """A pair with these log-ratios."""
    return {"lp_w": chosen - 5.0, "rf_w": -5.0, "n_w": 2.0, "lp_l": rejected - 4.0, "rf_l": -4.0, "n_l": 3.0, **more}


# Three tokens against two: log-probs (-1, -1.5, -.5) and (-2, -1), under the anchor (-1.1, -1.4, -.9) and (-1.8, -1.1).
UNEQUAL = {
    **{"lp_w": -3.0, "rf_w": -3.4, "n_w": 3.0, "common_w": 0.0},
    **{"lp_l": -3.0, "rf_l": -2.9, "n_l": 2.0, "common_l": -0.1},
}
# F1 with a second anchor: margins of the log-probs 3, under the first anchor -1, under the second 0.5.
TWO_ANCHORS = {**F1, "second_w": -9.0, "second_l": -9.5}
# Best and worst of five responses by Bradley-Terry scores (1, 0, -1, 2, .5): row means of the win rates, diagonal
# included.
BEST, WORST = 0.77640085192, 0.22359914808
PLAYED = ratios(0.5, -0.7, label_w=BEST, label_l=WORST)

HARD = [
    vector("dpo", P, 0.437488, -0.035434),
    vector("dpo", F1, 0.513015, -0.0401312),
    vector("dpo", F1, 0.598139, beta=0.05),
    vector("dpo", ratios(-2, 2), 0.913015, -0.0598688),
    vector("ipo", P, 1.0, 2.0, tau=0.1),
    vector("ipo", F1, 1.0, -2.0, tau=0.1),
    vector("ipo_mean", P, 23.846944, -0.244167, 0.162778, tau=0.1),
    vector("hinge", P, 0.4, -0.1),
    vector("hinge", F1, 0.6, -0.1),
    vector("hinge", F1, 0.8, -0.05, beta=0.05),
    vector("hinge", F1, 0.0, 0.0, beta=0.5),
    vector("slic_hf", P, 0.0, 0.0, nll_sum=0.0),
    vector("slic_hf", P, 4.8, -0.1, 0.0),
    vector("discopop", P, 0.740357, -0.036542),
    vector("exo", P, 1.798271, -0.144289, eps=1e-3),
    vector("ln_dpo", P, 0.443426, -0.044771, 0.029847),
    vector("r_dpo", P, 0.513015, -0.040131, alpha=0.01),
    vector("ld_dpo", UNEQUAL, 0.688160, alpha=0.0),
    vector("ld_dpo", UNEQUAL, 0.678260, alpha=0.5),
    vector("ld_dpo", UNEQUAL, 0.668460, alpha=1.0),
    vector("dpop", P, 0.152978, -0.042555),
    vector("dpop", {**P, "lp_w": -50.1}, 0.871698),
    vector("flex_dpo", P, 0.562915, -0.043045, 0.008609, beta_rejected=0.02),
    vector("npo", P, 10.260305, 0.0, 0.802625),
    vector("nca", P, 1.253716, -0.017525, 0.020066),
    vector("apo_zero", P, 0.851478, -0.024752, 0.024026),
    vector("apo_down", P, 0.904178, 0.001873, 0.022878),
]

DIVERGENCES = [
    vector("f_jsd", P, 0.517395, -0.004815, 0.039666),
    vector("f_forward_kl", P, 0.004303, -0.000058, 0.023443),
    vector("f_alpha", P, 0.219581, -0.007253, 0.145671, alpha=0.5),
    # A parametrisation with c = 1 - alpha is in use too: this is its c = 0.7.
    vector("f_alpha", P, 0.334341, -0.015597, 0.094355, alpha=0.3),
    vector("chi_po", P, 0.233183, -0.174485, 0.02118),
]

GRADED = [
    vector("spce", F1, 0.513015, -0.0401312),
    vector("spce", {**F1, "strength": 0.8}, 0.593015, -0.0201312),
    vector("spce", {**F1, "strength": 0.5}, 0.713015, 0.0098688),
    vector("spce", {**F1, "strength": 0.0}, 0.913015, 0.0598688),
    # Step-level pairs by visit counts: strength 0.75, and capped at a half.
    vector("spce", {**F1, "strength": 0.75}, 0.613015),
    vector("spce", {**P, "strength": 0.8}, 0.557488, -0.015434),
    vector("cdpo", P, 0.497488, -0.025434, eps=0.1),
    vector("rdpo", P, 0.362488, -0.047934, eps=0.1),
    # Pairs whose information gains are .009647, .245376, .003373 nats: F1's .513015 and .4 for each unit of smoothing.
    vector("upo", {**F1, "gain": 0.009647}, 0.513015 + 0.4 * 0.100876, nll=0.0),
    vector("upo", {**F1, "gain": 0.245376}, 0.513015 + 0.4 * 0.128343, nll=0.0),
    vector("upo", {**F1, "gain": 0.003373}, 0.513015 + 0.4 * 0.100304, nll=0.0),
    vector("gdpo", {**P, "strength": 0.8}, 0.529260, -0.024658),
    # The diffusion form: (2p - 1) * beta/2 * 10 times a difference of denoising errors, an argument of 3.
    vector("gdpo", {**ratios(3, -2), "strength": 0.8}, 0.048587, beta=1.0),
    vector("odpo", {**P, "margin": 0.5}, 0.644397, -0.047502),
    vector("mm_dpo", {**P, "margin": 1.5}, 0.384219, -0.040318, w=0.5, k=0.5),
    vector("rdo", {**P, "margin": 1.5}, 0.656232, -0.053152),
    vector("distilled", {**P, "margin": 1.5}, 0.81, -0.18),
    vector("modpo", {**P, "margin": 0.8}, 0.513015, -0.080262, w0=0.5),
]

ANCHORLESS = [
    vector("cpo", P, 1.383901, -0.041798, 0.016798),
    vector("cpl", P, 1.783901, -0.083202, 0.041601, **{"lambda": 0.5}),
    vector("simpo", P, 1.896043, -0.053115, 0.035410, beta=2.5, gamma=1.4),
    vector("alphapo", P, 1.000766, -0.053353, 0.034403, alpha=0.25, gamma=0.1),
    vector("orpo", P, 1.279637, -0.026964, 0.001395),
    vector("orpo", P, 0.796370, scale=1.0, nll=0.0),
    vector("simper", P, 0.042960, -0.007530, 0.005736),
    vector("asft", P, 1.362183, -0.0275, 0.000875),
    vector("asft", P, 1.2 + 0.421829, scale=1.0, nll=0.0),
]

ADD_ONS = [
    vector("rpo", P, 0.903597, -0.00985, 0.00485),
    vector("dpo", P, 0.677488, -0.040434, 0.035434, nll=0.2),
    vector("iterative_rpo", P, 1.637488, -0.060434, 0.035434),
    vector("iterative_rpo", F1, 0.913015),
    # Constraint-aware DPO.
    vector("dpo", F1, 0.553015, nll=0.1),
]

REGRESSION = [
    vector("inpo", TWO_ANCHORS, 5.0625, 4.5, eta=0.5, share=0.5),
    vector("inpo", TWO_ANCHORS, 4053.444444, -127.333333, eta=7.5e-3),
    vector("online_ipo", ratios(0.5, -0.3, strength=0.7), 1.44, -2.4),
    vector("omd", ratios(0.5, -0.3, margin=0.7 - 0.4), 4.84, -4.4),
    vector("sppo", PLAYED, 0.012228, beta=0.5),
    vector("sppo", PLAYED, 0.002788 + 0.021667, beta=0.5, scale=1.0),
    # ((.5 - 276.400852)^2 + (-.7 + 276.400852)^2) / 2.
    vector("sppo", PLAYED, 76066.119922, beta=1e-3),
    vector("sppo", {**P, "label_w": 0.8, "label_l": 0.3}, 2.5, -1.0, -2.0, beta=0.1),
    vector("sppo_hard", ratios(0.5, -0.7), 0.34, beta=0.5),
    vector("sppo_hard", P, 494020.0, -996.0, 992.0),
    # With the half of the soft form.
    vector("sppo_hard", P, 247010.0, -498.0, 496.0, scale=0.5),
    vector("gpo", ratios(0.3, -0.2, label_w=1 / 3, label_l=-1 / 3), 0.176111, beta=0.5),
]

VECTORS = [*HARD, *DIVERGENCES, *GRADED, *ANCHORLESS, *ADD_ONS, *REGRESSION]


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-5), (torch.float32, 1e-4)], ids=["float64", "float32"])
@pytest.mark.parametrize("expected", VECTORS, ids=lambda one: f"{one.name}-{one.value:.6g}")
def test_value_and_gradients(expected: Vector, dtype: torch.dtype, rtol: float) -> None:
    loss = named_loss(expected.name, expected.options)
    value, *gradients = value_and_gradients(loss, pair_batch(expected.pair, dtype=dtype))
    assert value == pytest.approx(expected.value, rel=rtol, abs=2e-6)
    if expected.gradients is not None:
        assert gradients == pytest.approx(expected.gradients, rel=rtol, abs=2e-6)


@pytest.mark.parametrize(
    ("pair", "explored", "options", "value"),
    [
        (P, -55.0, {"optimism": 1e-5}, 0.436938),
        (F1, -40.0, {"optimism": 1e-5}, 0.512615),
        (F1, -40.0, {"optimism": 5e-6}, 0.512815),
    ],
)
def test_xpo_lowers_its_loss_by_unlikely_explored_responses(
    pair: Numbers, explored: float, options: Numbers, value: float
) -> None:
    batch = pair_batch(pair, others={"explored": {"lp": explored}})
    loss_N = named_loss("xpo", options).evaluate(batch).loss_N
    assert loss_N.item() == pytest.approx(value, rel=1e-5, abs=2e-6)
    # Minimising moves probability away from what the anchor samples.
    (gradient_N,) = torch.autograd.grad(loss_N.sum(), batch.others["explored"].lp)
    assert gradient_N.item() == pytest.approx(options["optimism"])


def test_selm_adds_the_explored_reward() -> None:
    batch = pair_batch(P, others={"explored": {"lp": P["lp_w"], "rf": P["rf_w"]}})
    loss = named_loss("selm").evaluate(batch).loss_N.sum()
    leaves = [batch.chosen.lp, batch.rejected.lp, batch.others["explored"].lp]
    chosen, rejected, explored = (one.item() for one in torch.autograd.grad(loss, leaves))
    assert loss.item() == pytest.approx(0.663617, rel=1e-5, abs=2e-6)
    # The published gradient by the chosen log-prob is that of a chosen response which is the explored one too.
    assert (chosen + explored, rejected) == pytest.approx((-0.00484, 0.00485), rel=1e-5, abs=2e-6)


def test_hypo_has_the_value_of_the_kl_and_the_gradient_of_its_score_function() -> None:
    batch = pair_batch(F1, others={"on_policy": {"lp": -7.0, "rf": -10.0}})
    loss_N = named_loss("hypo", {"kl": 0.1}).evaluate(batch).loss_N
    assert loss_N.item() == pytest.approx(0.813015, rel=1e-5, abs=2e-6)
    (gradient_N,) = torch.autograd.grad(loss_N.sum(), batch.others["on_policy"].lp)
    assert gradient_N.item() == pytest.approx(0.1 * 3.0)


def test_hypo_in_expectation_is_the_gradient_of_the_kl() -> None:
    """Over all samples of a small softmax policy; the gradient of the sampled log-ratios alone would be zero."""
    logits_V = torch.tensor([0.4, -1.0, 0.3], dtype=torch.float64, requires_grad=True)
    anchor_V = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    lp_V = logits_V.log_softmax(0)
    (exact_V,) = torch.autograd.grad((lp_V.exp() * (lp_V - anchor_V)).sum(), logits_V, retain_graph=True)
    estimate = torch.zeros((), dtype=torch.float64)
    loss, without = named_loss("hypo", {"kl": 1.0}), named_loss("dpo")
    for v in range(3):
        side = Side(lp=lp_V[v : v + 1], rf=anchor_V[v : v + 1], n=torch.ones(1))
        drawn = replace(pair_batch(F1), others={"on_policy": side})
        term = loss.evaluate(drawn).loss_N.sum() - without.evaluate(drawn).loss_N.sum()
        estimate = estimate + lp_V[v].exp().detach() * term
    (estimated_V,) = torch.autograd.grad(estimate, logits_V)
    torch.testing.assert_close(estimated_V, exact_V)
