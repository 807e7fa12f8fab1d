"""What is shown: which methods reach the equilibrium of which games, with their last policy or only on average."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np
import torch

from loop.games import iterative, online
from loop.games.equilibria import Array, duality_gap, kl, nash, regularised, regularised_gap
from loop.games.iterative import Policies
from loop.games.matrices import Game, random_policy, random_skew, rock_paper_scissors, uniform

Solves = Literal["regularised", "nash"]
Reached = Literal["last", "average", "neither"]

BETA = 0.1
NEAR_KL = 1e-6
"""Nats: the regularised equilibrium is reached below it."""

NEAR_GAP = 0.02
"""Of win probability, for both players together: the Nash equilibrium is reached below it. Regularisation makes the
equilibrium unique and attracting; without it policies come near slowly, and near many at once."""

TAIL = 0.1
"""Share of the policies, the last ones, whose worst counts as the last: a cycle may pass by the equilibrium."""

MIXTURE = 0.125
ETA = 0.5
"""Step of OMD and EGPO. Extragradient steps converge for eta <= min(1 / (2 beta + 2 a), 1 / (4 a)), Cen et al. 2021,
arXiv:2105.15186; preferences differ from one half by at most a = 1/2."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A method on a game. `steps`: rounds of an iterative method, gradient steps of an online one; `solves`: the game
    with its regularisation, or without."""

    method: str
    loss: str
    policies: Policies
    steps: int
    solves: Solves


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far from equilibrium a method came, KL(equilibrium || policy) in nats and duality gap, by its last policies
    and by the average of all. `trajectory` `[steps + 1, Y]` are its policies."""

    game: str
    method: str
    loss: str
    steps: int
    solves: Solves
    kl_last: float
    kl_average: float
    gap_last: float
    gap_average: float
    seconds: float
    trajectory: Array = field(repr=False)

    @property
    def reached(self) -> Reached:
        """Which of the two came near enough."""
        if self.solves == "regularised":
            last, average, near = self.kl_last, self.kl_average, NEAR_KL
        else:
            last, average, near = self.gap_last, self.gap_average, NEAR_GAP
        return "last" if last < near else "average" if average < near else "neither"


def cyclic_games() -> list[Game]:
    """Preferences that no rewards explain."""
    return [
        Game("rock-paper-scissors, weighted", rock_paper_scissors(), uniform(3), BETA),
        Game("random, 7 responses, uneven reference", random_skew(7, seed=0), random_policy(7, seed=1), BETA),
        Game("random, 20 responses", random_skew(20, seed=2), uniform(20), BETA),
    ]


def contests(game: Game) -> list[Contest]:
    """All methods on one game, each as long as it needs."""
    return [
        Contest("INPO", "inpo", iterative.inpo(game, patient(game.beta)), 300, "regularised"),
        Contest("online IPO", "online_ipo", online.online_ipo(game, size=0.1), 2_000, "regularised"),
        Contest("OMD", "omd", online.omd(game, ETA), 500, "regularised"),
        Contest("EGPO", "omd", online.egpo(game, ETA), 500, "regularised"),
        Contest("Nash-MD", "omd", online.nash_md(game), 2_000, "regularised"),
        Contest("Nash-MD-PG, mixture 1/8", "nash_md", online.nash_md_pg(game, 1.0, MIXTURE), 2_000, "regularised"),
        Contest("DPO", "dpo", iterative.dpo(game), 1, "regularised"),
        Contest("MPO", "inpo", iterative.mpo(game, BETA, patient(BETA), reset_every=20), 1_500, "nash"),
        Contest("SPPO", "sppo", iterative.sppo(game, eta=0.3), 1_000, "nash"),
        Contest("DNO", "spce", iterative.dno(game, eta=0.3), 1_000, "nash"),
        Contest("iterative DPO, scalar reward", "dpo", iterative.reward_dpo(game, beta=1.0), 50, "nash"),
    ]


def patient(tau: float) -> float:
    """An eta of INPO with which rounds come nearer to the equilibrium of any game.

    Near it an error z becomes (1 - tau/eta) z + (i omega/eta) z, where omega^2 <= sum_{i<j} pi_i pi_j a_ij^2 <= 1/8 for
    preferences that differ from one half by a_ij <= 1/2. The modulus is smallest at eta = tau + omega^2 / tau.
    """
    return tau + 1.0 / (8.0 * tau)


def played(game: Game, contest: Contest) -> Outcome:
    """The contest's outcome."""
    begun = time.process_time()
    trajectory = trajectory_of(contest.policies, contest.steps)
    seconds = time.process_time() - begun
    equilibrium_Y = regularised(game) if contest.solves == "regularised" else nash(game)
    gap = regularised_gap if contest.solves == "regularised" else duality_gap
    tail = trajectory[-max(1, int(TAIL * len(trajectory))) :]
    average_Y = trajectory.mean(0)
    return Outcome(
        game=game.name,
        method=contest.method,
        loss=contest.loss,
        steps=contest.steps,
        solves=contest.solves,
        kl_last=max(kl(equilibrium_Y, policy_Y) for policy_Y in tail),
        kl_average=kl(equilibrium_Y, average_Y),
        gap_last=max(gap(game, policy_Y) for policy_Y in tail),
        gap_average=gap(game, average_Y),
        seconds=seconds,
        trajectory=trajectory,
    )


def trajectory_of(policies: Iterator[torch.Tensor], steps: int) -> Array:
    """The first policy and those after each of so many steps, as probabilities `[steps + 1, Y]`."""
    return np.stack([policy_Y.exp().numpy() for policy_Y in islice(policies, steps + 1)])
