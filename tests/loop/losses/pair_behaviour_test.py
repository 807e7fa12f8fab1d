"""What pairwise losses do at their edges: where the optimum lies, what saturates, what is unbounded, which way a sign
points."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from loop.losses import named_loss
from loop.losses.kernels import logistic
from loop.uncertainty import sampling_weights
from tests.loop.losses.fixtures import F1, P, pair_batch, value_and_gradients


def at(
    name: str, *log_ratios: tuple[float, float], strength: float = 1.0, margin: float = 0.0, **options: float
) -> Tensor:
    """For each pair of log-ratios the loss and its derivatives by the chosen and the rejected log-prob, `[N, 3]`."""
    rows = [{"lp_w": a, "lp_l": b} for a, b in log_ratios]
    batch = pair_batch(*rows, strength=strength, margin=margin)
    loss_N = named_loss(name, options).evaluate(batch).loss_N
    gradients = torch.autograd.grad(loss_N.sum(), [batch.chosen.lp, batch.rejected.lp], materialize_grads=True)
    return torch.stack([loss_N.detach(), *gradients], dim=1)


def slope(name: str, h: float, **options: float) -> float:
    """The derivative by the margin, at margin h."""
    return at(name, (h, 0.0), **options)[0, 1].item()


@pytest.mark.parametrize(("target", "expected"), [(1.0, -0.401312), (0.8, -0.201312), (0.5, 0.098688)])
def test_slope_of_the_logistic_kernel(target: float, expected: float) -> None:
    z_N = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    (gradient_N,) = torch.autograd.grad(logistic(z_N, torch.tensor([target], dtype=torch.float64)).sum(), z_N)
    assert gradient_N.item() == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_dpo_starts_at_ln_2_with_half_its_largest_gradient(beta: float) -> None:
    assert at("dpo", (0.0, 0.0), beta=beta)[0].tolist() == pytest.approx([math.log(2), -beta / 2, beta / 2])
    assert -beta <= slope("dpo", -1e3, beta=beta) <= slope("dpo", 0.0, beta=beta) < slope("dpo", 20.0, beta=beta) < 0


@pytest.mark.parametrize(
    "name", ["dpo", "cdpo", "rdpo", "exo", "ipo", "hinge", "discopop", "gdpo", "odpo", "mm_dpo", "rdo", "modpo", "omd"]
)
def test_functions_of_the_margin_do_not_see_a_common_shift(name: str) -> None:
    near, far = at(name, (2.0, -1.0), (-30.0, -33.0), strength=0.8, margin=0.4)
    torch.testing.assert_close(near, far)
    assert near[1].item() == pytest.approx(-near[2].item())


@pytest.mark.parametrize(
    "name", ["nca", "apo_zero", "apo_down", "sppo_hard", "cpl", "flex_dpo", "f_jsd", "chi_po", "dpop"]
)
def test_others_do(name: str) -> None:
    near, far = at(name, (2.0, -1.0), (-3.0, -6.0))
    assert not torch.allclose(near, far, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "given", "optimum"),
    [
        ("cdpo", {"eps": 0.1}, 10 * math.log(9)),
        ("spce", {"strength": 0.8}, 10 * math.log(4)),
        ("spce", {"strength": 0.5}, 0.0),
        ("spce", {"strength": 0.25}, -10 * math.log(3)),
        ("exo", {"eps": 1e-3}, 10 * math.log(999)),
        ("ipo", {"tau": 0.1}, 5.0),
        ("online_ipo", {"strength": 0.7}, 2.0),
        ("omd", {"margin": 0.3}, 3.0),
        ("distilled", {"margin": 1.5}, 15.0),
    ],
)
def test_a_finite_optimum_and_a_pull_back_beyond_it(name: str, given: dict[str, float], optimum: float) -> None:
    assert slope(name, optimum - 0.1, **given) < 0 < slope(name, optimum + 0.1, **given)
    assert slope(name, optimum, **given) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["dpo", "rdpo", "odpo", "mm_dpo", "rdo"])
def test_no_finite_optimum(name: str) -> None:
    assert all(slope(name, h, margin=0.4) < 0 for h in (-100.0, 0.0, 10.0, 100.0))


def test_the_least_soft_loss_is_the_entropy_of_its_label() -> None:
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert at("spce", (10 * math.log(4), 0.0), strength=0.8)[0, 0].item() == pytest.approx(entropy)
    assert entropy == pytest.approx(0.500402, abs=6e-7)


@pytest.mark.parametrize("h", [-30.0, 0.0, 7.0, 50.0])
def test_rdpo_is_unbiased_under_flipped_labels(h: float) -> None:
    right, flipped = at("rdpo", (h, 0.0), (-h, 0.0), eps=0.1)[:, 0]
    assert (0.9 * right + 0.1 * flipped).item() == pytest.approx(at("dpo", (h, 0.0))[0, 0].item(), abs=1e-14)


def test_rdpo_is_unbounded_below_and_steeper_than_dpo() -> None:
    assert at("rdpo", (500.0, 0.0), eps=0.1)[0].tolist() == pytest.approx([-6.25, -0.0125, 0.0125])
    assert all(slope("rdpo", h) < slope("dpo", h) for h in (-20.0, 0.0, 20.0))


@pytest.mark.parametrize(("name", "reached"), [("hinge", (10.0, 0.0)), ("slic_hf", (-47.0, -48.0))])
def test_a_hinge_is_silent_once_its_margin_is_reached(name: str, reached: tuple[float, float]) -> None:
    chosen, rejected = reached
    before, *after = at(name, (chosen - 1e-6, rejected), reached, (chosen + 9.0, rejected), nll_sum=0.0)
    assert before[1] < 0 < before[2]
    assert all(one.tolist() == [0.0, 0.0, 0.0] for one in after)


def test_discopop_pushes_slightly_misranked_pairs_the_wrong_way() -> None:
    # In units of z = beta * margin: between -0.119 and 0.072.
    signs = {z: slope("discopop", z / 0.05) > 0 for z in (-0.125, -0.115, 0.0, 0.07, 0.075)}
    assert signs == {-0.125: False, -0.115: True, 0.0: True, 0.07: True, 0.075: False}


def test_exo_ignores_hopeless_pairs() -> None:
    hopeless = at("exo", (-200.0, 0.0), eps=1e-3)[0]
    assert hopeless[0].item() == pytest.approx(-math.log(1e-3))
    assert abs(hopeless[1].item()) < 1e-8 < -slope("exo", -20.0)


def test_gdpo_ignores_ties() -> None:
    assert at("gdpo", (6.0, -2.0), strength=0.5)[0].tolist() == pytest.approx([math.log(2), 0.0, 0.0])


def test_mm_dpo_grows_to_a_bound() -> None:
    small, large = (at("mm_dpo", (6.0, 0.0), margin=margin, w=0.5) for margin in (-3.0, 1e3))
    torch.testing.assert_close(small, at("dpo", (6.0, 0.0)))
    torch.testing.assert_close(large, at("dpo", (6.0, 0.0), beta=0.15))


def test_modpo_of_one_objective_is_dpo() -> None:
    torch.testing.assert_close(at("modpo", (6.0, 1.0), margin=0.7, w0=1.0), at("dpo", (6.0, 1.0)))


def test_r_dpo_counts_a_longer_chosen_answer_as_partly_satisfied() -> None:
    loss = named_loss("r_dpo")
    equal, longer = (value_and_gradients(loss, pair_batch({**P, "n_w": n, "n_l": 50.0})) for n in (50.0, 60.0))
    assert longer[0] < equal[0]
    assert abs(longer[1]) < abs(equal[1])


def test_dpop_holds_the_chosen_likelihood() -> None:
    torch.testing.assert_close(at("dpop", (0.5, -4.0)), at("dpo", (0.5, -4.0), beta=0.3))
    fallen = at("dpop", (-0.1, -4.0))[0]
    assert -fallen[1].item() == pytest.approx(51 * fallen[2].item())


def test_flex_dpo_with_equal_betas_is_dpo() -> None:
    torch.testing.assert_close(at("flex_dpo", (2.0, -4.0), beta_rejected=0.1), at("dpo", (2.0, -4.0)))


def test_npo_is_bounded_gradient_ascent_that_dampens_itself() -> None:
    ascent, gone, likely = (at("npo", (3.0, b), **o)[0] for b, o in ((-4.0, {"beta": 1e-6}), (-1e3, {}), (1e3, {})))
    assert ascent[1:].tolist() == pytest.approx([0.0, 1.0], abs=1e-5)
    assert 0 <= gone[2].item() < 1e-12
    assert likely[2].item() == pytest.approx(2.0)


def test_divergences_between_the_two_kls() -> None:
    points = [(2.0, -1.0), (-0.5, 0.3)]
    torch.testing.assert_close(at("f_alpha", *points, alpha=0.0), at("dpo", *points))
    torch.testing.assert_close(at("f_alpha", *points, alpha=1.0), at("f_forward_kl", *points))
    torch.testing.assert_close(at("f_alpha", *points, alpha=1e-6), at("dpo", *points), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["f_jsd", "f_alpha", "f_forward_kl"])
def test_divergences_put_their_gradient_on_the_less_likely_side(name: str) -> None:
    _, chosen, rejected = at(name, (2.0, -4.0))[0]
    assert rejected > 8 * -chosen > 0


@pytest.mark.parametrize("alpha", [1e-6, 0.0])
def test_alphapo_without_tempering_is_simpo(alpha: float) -> None:
    tempered, plain = named_loss("alphapo", {"alpha": alpha, "gamma": 1.4}), named_loss("simpo")
    assert value_and_gradients(tempered, pair_batch(P)) == pytest.approx(
        value_and_gradients(plain, pair_batch(P)), rel=1e-4
    )


def test_orpo_is_finite_for_a_certain_answer() -> None:
    certain = {**P, "lp_w": 0.0, "lp_l": -0.01}
    for dtype in (torch.float32, torch.float64):
        assert all(map(math.isfinite, value_and_gradients(named_loss("orpo"), pair_batch(certain, dtype=dtype))))


def test_asft_is_likelihood_and_unlikelihood_of_the_probability_per_token() -> None:
    p_w, p_l = math.exp(-48 / 40), math.exp(-64 / 60)
    loss_N = named_loss("asft", {"nll": 0.0, "scale": 1.0}).evaluate(pair_batch(P)).loss_N
    odds_w, odds_l = p_w / (1 - p_w), p_l / (1 - p_l)
    by_odds = -math.log(odds_w / (1 + odds_w)) - math.log(1 / (1 + odds_l))
    assert loss_N.item() == pytest.approx(by_odds) == pytest.approx(-math.log(p_w) - math.log(1 - p_l))


def test_nca_holds_the_chosen_reward_at_ln_2() -> None:
    below, best, above = at("nca", *((10 * (math.log(2) + d), -4.0) for d in (-0.01, 0.0, 0.01)))[:, 1]
    assert below < 0 < above
    assert best.item() == pytest.approx(0.0, abs=1e-12)


def test_apo_zero_saturates_both_ways() -> None:
    assert at("apo_zero", (400.0, -400.0), (-400.0, 400.0))[:, 1:].abs().max() < 1e-15


def test_apo_down_lets_the_chosen_answer_fall_half_as_far() -> None:
    below, best, above = at("apo_down", (-2.1, -4.0), (-2.0, -4.0), (-1.9, -4.0))[:, 1]
    assert below < 0 < above
    assert best.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("name", "best"), [("sppo", (3.0, -2.0)), ("gpo", (8.0, 3.0)), ("sppo_hard", (5.0, -5.0))])
def test_each_side_has_a_target_of_its_own(name: str, best: tuple[float, float]) -> None:
    pair = {"lp_w": best[0], "lp_l": best[1], "label_w": 0.8, "label_l": 0.3}
    assert value_and_gradients(named_loss(name, {"beta": 0.1}), pair_batch(pair)) == pytest.approx((0.0, 0.0, 0.0))


def test_inpo_between_its_two_anchors() -> None:
    pair = {**F1, "second_w": -9.0, "second_l": -9.5}

    def inpo(share: float, pair: dict[str, float]) -> float:
        return named_loss("inpo", {"eta": 0.5, "share": share}).evaluate(pair_batch(pair)).loss_N.item()

    # With no share the first anchor has no part; with nearly all of it this is IPO on the first anchor.
    assert inpo(0.0, pair) == inpo(0.0, {**pair, "rf_w": -70.0}) == pytest.approx((3 - 0.5 - 1) ** 2)
    ipo = named_loss("ipo", {"tau": 0.5}).evaluate(pair_batch(F1)).loss_N.item()
    assert inpo(1.0 - 1e-9, pair) == pytest.approx(ipo)
    # Where both anchors are the same policy, the share does not matter.
    same = {**pair, "second_w": F1["rf_w"], "second_l": F1["rf_l"]}
    assert inpo(0.4, same) == pytest.approx(ipo)


def test_smoothing_as_printed_would_flip_every_label() -> None:
    """alpha = 1/(P + 1) with P normalised over the pairs is above a half for each of them; the repaired one is not."""
    gains = [0.009647, 0.245376, 0.003373]
    assert [1 / (share + 1) for share in sampling_weights(gains)] == pytest.approx([0.734629, 0.784161, 0.733396])
    batch = pair_batch(*({**F1, "gain": gain} for gain in gains))
    smoothing_N = named_loss("upo", {"nll": 0.0}).evaluate(batch).loss_N - named_loss("dpo").evaluate(batch).loss_N
    assert (smoothing_N / 0.4).tolist() == pytest.approx([0.100876, 0.128343, 0.100304], abs=2e-6)


@pytest.mark.parametrize(("gain", "inside"), [(-0.1, 0.0), (2.0, math.log(2))])
def test_an_estimated_gain_is_between_nothing_and_one_bit(gain: float, inside: float) -> None:
    told, clamped = (named_loss("upo").evaluate(pair_batch({**F1, "gain": one})).loss_N for one in (gain, inside))
    assert told.item() == clamped.item()


def test_the_most_uncertain_pair_is_not_flipped_at_the_least_mu() -> None:
    loss = named_loss("upo", {"mu": 1 / (1 - math.log(2)) + 1e-9, "nll": 0.0})
    tie = named_loss("spce").evaluate(pair_batch(F1, strength=0.5)).loss_N
    torch.testing.assert_close(loss.evaluate(pair_batch({**F1, "gain": math.log(2)})).loss_N, tie)


def test_a_loss_of_certainty_is_not_given_margins_instead() -> None:
    with pytest.raises(AssertionError, match="needs name every field"):
        named_loss("upo").evaluate(pair_batch(F1, margin=0.4))


def test_changing_eta_leaves_the_share_of_the_anchors() -> None:
    assert named_loss("inpo", {"eta": 0.1}).options["share"] == pytest.approx(1 / 3)
