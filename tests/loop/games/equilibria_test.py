"""Solvers are checked by what an equilibrium is, not by one another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loop.errors import Refused
from loop.games.equilibria import (
    best_reply,
    duality_gap,
    kl,
    nash,
    preferences_of,
    regularised,
    regularised_gap,
)
from loop.games.matrices import (
    Game,
    bradley_terry,
    random_policy,
    random_skew,
    rock_paper_scissors,
    uniform,
)


def cyclic(beta: float = 0.1) -> Game:
    return Game("cycle", rock_paper_scissors(), uniform(3), beta)


def test_weighted_rock_paper_scissors_is_played_in_proportion_to_the_opposite_edges() -> None:
    np.testing.assert_allclose(nash(cyclic()), [2 / 9, 3 / 9, 4 / 9], atol=1e-12)


def test_the_regularised_equilibrium_of_weighted_rock_paper_scissors() -> None:
    np.testing.assert_allclose(regularised(cyclic()), [0.274351, 0.279242, 0.446408], atol=5e-7)


@pytest.mark.parametrize("responses", [2, 5, 12, 20])
@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_nobody_gains_by_leaving_an_equilibrium(responses: int, beta: float) -> None:
    game = Game("random", random_skew(responses, seed=responses), random_policy(responses, seed=3), beta)
    solved, free = regularised(game), nash(game)
    np.testing.assert_allclose(np.log(best_reply(game, solved)), np.log(solved), rtol=0, atol=1e-11)
    assert 0 <= duality_gap(game, free) < 1e-9
    assert abs(regularised_gap(game, solved)) < 1e-12
    assert regularised_gap(game, free) > 1e-5 and duality_gap(game, solved) > 1e-5


def test_a_strong_pull_leaves_the_reference_and_a_weak_one_the_nash_equilibrium() -> None:
    assert kl(regularised(cyclic(100.0)), np.full(3, 1 / 3)) < 1e-6
    assert kl(nash(cyclic()), regularised(cyclic(0.005))) < 1e-4 < kl(nash(cyclic()), regularised(cyclic(0.1)))


def test_the_regularised_gap_is_what_the_best_of_many_replies_gains() -> None:
    game = Game("random", random_skew(4, seed=1), random_policy(4, seed=2), 0.2)
    policy_Y, reference_Y = np.array([0.4, 0.3, 0.2, 0.1]), np.exp(game.reference_Y.numpy())

    def gain(reply_Y: np.ndarray) -> float:
        won = float(reply_Y @ preferences_of(game) @ policy_Y) - 0.5
        return 2 * (won - game.beta * (kl(reply_Y, reference_Y) - kl(policy_Y, reference_Y)))

    replies = np.random.default_rng(0).dirichlet(np.ones(4), 2_000)
    gap = regularised_gap(game, policy_Y)
    assert max(gain(reply_Y) for reply_Y in replies) <= gap + 1e-12
    assert gain(best_reply(game, policy_Y)) == pytest.approx(gap, abs=1e-12)


def test_the_best_response_of_bradley_terry_preferences_is_the_whole_nash_equilibrium() -> None:
    game = Game("transitive", bradley_terry(torch.tensor([0.1, 2.0, 1.0], dtype=torch.float64)), uniform(3), 0.1)
    np.testing.assert_allclose(nash(game), [0, 1, 0], atol=1e-12)


def test_probabilities_that_do_not_add_up_are_refused() -> None:
    preferences_YY = rock_paper_scissors()
    preferences_YY[0, 1] += 0.01
    with pytest.raises(Refused, match="do not add up to 1"):
        Game("wrong", preferences_YY, uniform(3), 0.1)
