"""How fast the last policy nears the regularised equilibrium: extragradient steps against plain mirror descent."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice, takewhile

import numpy as np

from loop.games import online
from loop.games.equilibria import Array, kl, regularised
from loop.games.iterative import Policies
from loop.games.matrices import Game, rock_paper_scissors, uniform
from loop.games.study import ETA

ROUNDING = 1e-13
"""Nats: a divergence below it is rounding."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A straight line through the logarithm of `kl_T`, KL(equilibrium || policy_t) in nats for t = 0, 1, ... until it
    is rounding: slope per step and R^2, the share of variance that the line explains. `guaranteed`: log(1 - eta beta),
    the slope that extragradient steps have at least (Cen et al. 2021, arXiv:2105.15186)."""

    method: str
    beta: float
    eta: float
    slope: float
    r2: float
    guaranteed: float
    kl_T: Array = field(repr=False)


def rates(betas: tuple[float, ...] = (0.1, 0.02, 0.005), steps: int = 2_500) -> list[Rate]:
    """EGPO and OMD with the same step on weighted rock-paper-scissors, from ever weaker regularisation."""
    found = []
    for beta in betas:
        game = Game("rock-paper-scissors, weighted", rock_paper_scissors(), uniform(3), beta)
        equilibrium_Y = regularised(game)
        for method, policies in (("EGPO", online.egpo(game, ETA)), ("OMD", online.omd(game, ETA))):
            found.append(_rate(method, game, policies, equilibrium_Y, steps))
    return found


def line(values_T: Array) -> tuple[float, float]:
    """Slope and R^2 of the least-squares line through values at 0, 1, 2, ..."""
    times_T = np.arange(len(values_T), dtype=np.float64)
    slope, start = np.polyfit(times_T, values_T, 1)
    rest_T = values_T - (start + slope * times_T)
    return float(slope), float(1.0 - rest_T.var() / values_T.var())


def _rate(method: str, game: Game, policies: Policies, equilibrium_Y: Array, steps: int) -> Rate:
    divergences = (kl(equilibrium_Y, policy_Y.exp().numpy()) for policy_Y in islice(policies, steps + 1))
    kl_T = np.array(list(takewhile(lambda nats: nats >= ROUNDING, divergences)))
    slope, r2 = line(np.log(kl_T))
    return Rate(method, game.beta, ETA, slope, r2, float(np.log1p(-ETA * game.beta)), kl_T)
