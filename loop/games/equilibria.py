"""Equilibria by means that share nothing with the losses, and how far a policy is from them. Policies are
probabilities here, numpy float64 `[Y]`."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import logsumexp, rel_entr, softmax

from loop.errors import Refused
from loop.games.matrices import Game

Array = NDArray[np.float64]

RESIDUAL = 1e-12
"""Of the fixed point, largest log-probability: a solution is accepted only below it."""

MOST_SWEEPS = 200_000


def preferences_of(game: Game) -> Array:
    """The matrix, `[Y, Y]`."""
    return cast(Array, game.preferences_YY.numpy())


def nash(game: Game) -> Array:
    """The symmetric equilibrium without regularisation, by a linear programme: among policies that no response beats
    by more than -v, one with the largest v (which is 0).

    Raises: Refused when the solver does not succeed.
    """
    skew_YY, n = preferences_of(game) - 0.5, game.responses
    found = linprog(
        c=np.r_[np.zeros(n), -1.0],
        A_ub=np.c_[-skew_YY.T, np.ones(n)],
        b_ub=np.zeros(n),
        A_eq=np.r_[np.ones(n), 0.0][None],
        b_eq=[1.0],
        bounds=[(0.0, None)] * n + [(None, None)],
    )
    if not found.success:
        raise Refused(f"game {game.name}: no equilibrium was found, {found.message}")
    policy_Y = np.clip(found.x[:n], 0.0, None)
    return cast(Array, policy_Y / policy_Y.sum())


def best_reply(game: Game, policy_Y: Array) -> Array:
    """The reply with the largest pay-off, regularisation included: `ref * exp(P(y beats policy) / beta)`,
    normalised."""
    return cast(Array, softmax(game.reference_Y.numpy() + preferences_of(game) @ policy_Y / game.beta))


def regularised(game: Game) -> Array:
    """The only policy that is its own best reply: `beta * log(pi / ref) = P(y beats pi) + constant`.

    Log-probs go a fraction of the way to the best reply until it is no further away than `RESIDUAL`. Near the solution
    the undamped map turns errors by at most i kappa, kappa^2 = sum_{i<j} pi_i pi_j (P_ij - 1/2)^2 / beta^2, and the
    fraction 1 / (1 + kappa^2) shrinks them most. Raises: Refused when it stays further away.
    """
    preferences_YY, reference_Y = preferences_of(game), game.reference_Y.numpy()
    squares_YY = np.square(preferences_YY - 0.5) / 2.0
    log_Y = reference_Y
    for _ in range(MOST_SWEEPS):
        policy_Y = np.exp(log_Y)
        reply_Y = _normalised(reference_Y + preferences_YY @ policy_Y / game.beta)
        if np.abs(reply_Y - log_Y).max() < RESIDUAL:
            return cast(Array, np.exp(reply_Y))
        fraction = 1.0 / (1.0 + policy_Y @ squares_YY @ policy_Y / game.beta**2)
        log_Y = _normalised(log_Y + fraction * (reply_Y - log_Y))
    raise Refused(f"game {game.name}: the fixed point was not reached in {MOST_SWEEPS:,} sweeps")


def _normalised(logits_Y: Array) -> Array:
    shifted_Y = logits_Y - logits_Y.max()
    return cast(Array, shifted_Y - np.log(np.exp(shifted_Y).sum()))


def kl(equilibrium_Y: Array, policy_Y: Array) -> float:
    """KL(equilibrium || policy), nats."""
    return float(rel_entr(equilibrium_Y, policy_Y).sum())


def duality_gap(game: Game, policy_Y: Array) -> float:
    """What both players together could gain against the policy by their best replies, regularisation left out: 0 at
    the Nash equilibrium only."""
    return float(2.0 * ((preferences_of(game) @ policy_Y).max() - 0.5))


def regularised_gap(game: Game, policy_Y: Array) -> float:
    """The same with regularisation. A best reply's pay-off is `beta * log sum_y ref * exp(P(y beats policy) / beta)`
    (Gibbs), the policy's own is one half, less its divergence."""
    reference_Y = game.reference_Y.numpy()
    reply = game.beta * logsumexp(reference_Y + preferences_of(game) @ policy_Y / game.beta)
    own = 0.5 - game.beta * kl(policy_Y, np.exp(reference_Y))
    return float(2.0 * (reply - own))
