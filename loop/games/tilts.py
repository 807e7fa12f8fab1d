"""Where rewards explain the preferences: each method against its closed form, a tilt of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from loop.games import iterative, online
from loop.games.equilibria import Array, regularised
from loop.games.iterative import Policies
from loop.games.matrices import Game, bradley_terry, uniform
from loop.games.study import ETA, patient, trajectory_of

REWARDS = (-1.0, -0.5, 0.0, 0.3, 0.6, 1.2)
BETA = 0.5
STEP = 0.3
"""eta of SPPO and DNO. SPPO regresses log-ratios of normalised policies to targets that are not: a round is off its
closed form by order eta^3."""


@dataclass(frozen=True, slots=True)
class Tilt:
    """A method's policy after `steps` beside its closed form: the largest difference of a probability, and whether the
    response with the largest reward is the likeliest."""

    method: str
    loss: str
    closed_form: str
    steps: int
    difference: float
    best_is_likeliest: bool


def transitive_game(reference_Y: Tensor | None = None) -> Game:
    """Bradley-Terry preferences of `REWARDS`."""
    preferences_YY = bradley_terry(torch.tensor(REWARDS, dtype=torch.float64))
    return Game("Bradley-Terry", preferences_YY, uniform(len(REWARDS)) if reference_Y is None else reference_Y, BETA)


def tilts(game: Game) -> list[Tilt]:
    """All methods that have a closed form on `transitive_game`."""
    rewards_Y = torch.tensor(REWARDS, dtype=torch.float64)
    rate_Y = game.win_rate(game.reference_Y)
    by_reward, by_rate = _tilted(game, rewards_Y / game.beta), _tilted(game, STEP * rate_Y)
    eta = patient(game.beta)
    solved = regularised(game)
    reward, equilibrium = "ref exp(r / beta)", "pi* = ref exp(P(y > pi*) / beta)"

    def of(method: str, loss: str, policies: Policies, steps: int, closed_form: str, expected_Y: Array) -> Tilt:
        policy_Y = trajectory_of(policies, steps)[-1]
        best = int(policy_Y.argmax()) == int(rewards_Y.argmax())
        return Tilt(method, loss, closed_form, steps, float(np.abs(policy_Y - expected_Y).max()), best)

    return [
        of("DPO", "dpo", iterative.dpo(game), 1, reward, by_reward),
        of("OSP", "spce", iterative.osp(game), 1, reward, by_reward),
        of("SPPO", "sppo", iterative.sppo(game, STEP), 1, "ref exp(eta P(y > ref))", by_rate),
        of("DNO", "spce", iterative.dno(game, STEP), 1, "ref exp(eta P(y > ref))", by_rate),
        of("INPO", "inpo", iterative.inpo(game, eta), 1, "ref exp(P(y > ref) / eta)", _tilted(game, rate_Y / eta)),
        of("INPO", "inpo", iterative.inpo(game, eta), 200, equilibrium, solved),
        of("online IPO", "online_ipo", online.online_ipo(game, size=0.5), 400, equilibrium, solved),
        of("OMD", "omd", online.omd(game, ETA), 200, equilibrium, solved),
        of("EGPO", "omd", online.egpo(game, ETA), 200, equilibrium, solved),
        of("Nash-MD", "omd", online.nash_md(game), 400, equilibrium, solved),
    ]


def _tilted(game: Game, exponent_Y: Tensor) -> Array:
    """`ref exp(exponent)`, normalised, as probabilities."""
    tilted: Array = (game.reference_Y + exponent_Y).softmax(0).numpy()
    return tilted
