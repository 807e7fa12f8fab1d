"""Policies under the losses: one step, one round, and the sign and scale of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from loop.games import iterative, online
from loop.games.equilibria import kl, regularised
from loop.games.examples import judged, pairs, two_draws
from loop.games.learning import optimum, step
from loop.games.matrices import Game, random_policy, random_skew, rock_paper_scissors, uniform
from loop.losses import named_loss


def cyclic(beta: float = 0.1) -> Game:
    return Game("cycle", rock_paper_scissors(), uniform(3), beta)


def uneven(beta: float = 0.2) -> Game:
    return Game("random", random_skew(6, seed=4), random_policy(6, seed=5), beta)


def after(policies: Iterator[Tensor], steps: int) -> Tensor:
    """Probabilities."""
    return next(islice(policies, steps, None)).exp()


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_all_pairs_are_drawn_as_often_as_the_policy_says_and_judged_as_often_as_preferred() -> None:
    game, policy_Y = uneven(), random_policy(6, seed=0)
    assert_close(two_draws(policy_Y).sum(), numbers(1.0)[0])
    weights_YY = judged(game, policy_Y)
    assert_close(weights_YY.sum(), numbers(1.0)[0])
    assert_close(weights_YY / weights_YY.T, game.preferences_YY / game.preferences_YY.T)


def test_the_gradient_of_an_expected_loss_is_that_of_finite_differences() -> None:
    game, policy_Y = uneven(), random_policy(6, seed=0)
    loss = named_loss("inpo", {"eta": 0.5, "share": 0.4})
    anchors = [game.reference_Y, random_policy(6, seed=1)]
    weights_YY = judged(game, random_policy(6, seed=2))

    def expected(logits_Y: Tensor) -> float:
        return float(loss.evaluate(pairs(logits_Y.log_softmax(0), anchors, weights_YY)).loss_N.sum())

    moved = step(policy_Y, loss, lambda now_Y: pairs(now_Y, anchors, weights_YY), size=1e-3)
    ahead_Y = (moved - policy_Y) - (moved - policy_Y).mean()
    basis = torch.eye(6, dtype=torch.float64) * 1e-5
    slope_Y = numbers(*[(expected(policy_Y + e) - expected(policy_Y - e)) / 2e-5 for e in basis])
    assert_close(ahead_Y, -1e-3 * (slope_Y - slope_Y.mean()), rtol=1e-5, atol=1e-9)


# theta = 0, reference uniform, beta = eta = 1/2: log pi' = P(y beats opponent) / 2 + constant. Against the uniform
# policy the win rates are (1.6, 1.3, 1.6) / 3, so pi' ~ (e^.05, 1, e^.05).
def test_one_step_of_mirror_descent() -> None:
    assert_close(after(online.omd(cyclic(0.5), eta=0.5), 1), numbers(0.338842, 0.322316, 0.338842), rtol=0, atol=5e-7)


def test_one_extragradient_step_starts_again_from_where_the_look_ahead_did() -> None:
    assert_close(after(online.egpo(cyclic(0.5), eta=0.5), 1), numbers(0.338002, 0.322316, 0.339682), rtol=0, atol=5e-7)


@pytest.mark.parametrize(("method", "expected"), [(online.omd, 0.000708), (online.egpo, 0.000298)])
def test_sixty_steps_from_a_policy_far_away(method, expected: float) -> None:  # type: ignore[no-untyped-def]
    game = cyclic()
    policy_Y = after(method(game, eta=0.5, start_Y=numbers(1.0, 0.0, 0.0)), 60)
    assert kl(regularised(game), policy_Y.numpy()) == pytest.approx(expected, abs=5e-7)


def test_a_step_of_any_size_with_any_reference_is_the_mirror_step() -> None:
    game, policy_Y, opponent_Y, eta = uneven(), random_policy(6, seed=7), random_policy(6, seed=8), 0.7
    pull = eta * game.beta
    mirrored_Y = (1 - pull) * policy_Y + pull * game.reference_Y + eta * game.preferences_YY @ opponent_Y.exp()
    assert_close(online.mirror_step(game, policy_Y, opponent_Y, eta), mirrored_Y.log_softmax(0))


def test_a_round_of_inpo_is_its_closed_form() -> None:
    """pi' ~ exp(P(y beats pi)/eta) ref^(tau/eta) pi^(1 - tau/eta): hard labels give it exactly, cycles or not."""
    game, eta = uneven(beta=0.2), 0.5
    rounds = list(islice(iterative.inpo(game, eta), 4))
    for before_Y, after_Y in pairwise(rounds):
        closed_Y = 0.4 * game.reference_Y + 0.6 * before_Y + game.preferences_YY @ before_Y.exp() / eta
        assert_close(after_Y, closed_Y.log_softmax(0), rtol=0, atol=1e-9)


def test_a_round_of_dno_is_its_closed_form_and_anchors_move_on() -> None:
    game, eta = uneven(), 0.8
    rounds = list(islice(iterative.dno(game, eta), 4))
    for before_Y, after_Y in pairwise(rounds):
        closed_Y = before_Y + eta * game.preferences_YY @ before_Y.exp()
        assert_close(after_Y, closed_Y.log_softmax(0), rtol=0, atol=1e-8)


def test_a_round_of_sppo_is_off_multiplicative_weights_by_the_third_order_of_its_step() -> None:
    game = uneven()

    def off(eta: float) -> float:
        closed_Y = game.reference_Y + eta * game.preferences_YY @ game.reference_Y.exp()
        return float((after(iterative.sppo(game, eta), 1).log() - closed_Y.log_softmax(0)).abs().max())

    assert 6.5 < off(0.4) / off(0.2) < 9.5


def test_the_magnet_of_mpo_stays_until_it_is_reset() -> None:
    game, tau, eta = uneven(), 0.3, 0.6
    rounds = list(islice(iterative.mpo(game, tau, eta, reset_every=3), 8))
    for at, (before_Y, after_Y) in enumerate(pairwise(rounds)):
        magnet_Y = rounds[at // 3 * 3]
        closed_Y = 0.5 * magnet_Y + 0.5 * before_Y + game.preferences_YY @ before_Y.exp() / eta
        assert_close(after_Y, closed_Y.log_softmax(0), rtol=0, atol=1e-9)


def test_a_mixture_is_geometric() -> None:
    game = Game("two", torch.full((2, 2), 0.5, dtype=torch.float64), numbers(0.2, 0.8).log(), 0.1)
    mixed_Y = online.mixture(game, numbers(0.7, 0.3).log(), weight=0.125).exp()
    assert_close(mixed_Y, numbers(0.638324, 0.361676), rtol=0, atol=5e-7)


def test_a_mixture_of_constant_weight_is_the_equilibrium_of_a_stronger_pull() -> None:
    """At rest beta log(pi/ref) = P(y beats mix) + c and log(mix/ref) = (1 - w) log(pi/ref) + c."""
    game, weight = cyclic(), 0.25
    policy_Y = next(islice(online.nash_md_pg(game, size=1.0, weight=weight), 1_500, None))
    stronger = Game("stronger", game.preferences_YY, game.reference_Y, game.beta / (1 - weight))
    assert kl(regularised(stronger), online.mixture(game, policy_Y, weight).exp().numpy()) < 1e-10
    assert kl(regularised(game), policy_Y.exp().numpy()) > 1e-4


def test_the_optimum_is_found_where_probabilities_are_tiny_and_from_where_it_already_is() -> None:
    game = uneven()
    rare_Y = numbers(0.0, -20.0, -3.0, -12.0, -1.0, -6.0).log_softmax(0)
    loss = named_loss("spce", {"beta": 0.5})
    reward_Y = random_policy(6, seed=9)
    weights_YY, target_YY = two_draws(rare_Y), torch.sigmoid(0.5 * (reward_Y[:, None] - reward_Y[None, :]))

    def train(start_Y: Tensor) -> Tensor:
        return optimum(
            start_Y, loss, lambda now_Y: pairs(now_Y, [game.reference_Y], weights_YY, strength_YY=target_YY), rare_Y
        )

    closed_Y = (game.reference_Y + reward_Y).log_softmax(0)
    assert_close(train(rare_Y), closed_Y, rtol=0, atol=1e-7)
    assert_close(train(closed_Y), closed_Y, rtol=0, atol=1e-12)
