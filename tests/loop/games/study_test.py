"""Which methods reach which equilibrium: smaller games and fewer steps than `ratchet bench games` plays."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from loop.games import iterative
from loop.games.equilibria import kl, nash
from loop.games.matrices import Game, random_policy, random_skew, rock_paper_scissors, uniform
from loop.games.rates import line, rates
from loop.games.study import Outcome, contests, played, trajectory_of
from loop.games.tilts import REWARDS, tilts, transitive_game

GAMES = {
    "cycle": Game("cycle", rock_paper_scissors(), uniform(3), 0.1),
    "random": Game("random", random_skew(9, seed=1), random_policy(9, seed=2), 0.2),
}
LAST = {"INPO": 120, "online IPO": 500, "OMD": 200, "EGPO": 150, "MPO": 400}
STEPS = {**LAST, "Nash-MD": 500, "DPO": 1, "SPPO": 200, "DNO": 200, "iterative DPO, scalar reward": 25}


@cache
def outcomes(game: str) -> dict[str, Outcome]:
    return {
        contest.method: played(GAMES[game], replace(contest, steps=STEPS[contest.method]))
        for contest in contests(GAMES[game])
        if contest.method in STEPS
    }


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("method", [*LAST, "Nash-MD"])
def test_the_last_policy_reaches_the_equilibrium(method: str, game: str) -> None:
    outcome = outcomes(game)[method]
    if method == "Nash-MD":  # its steps shrink, so it nears the equilibrium as 1/t: 500 steps are few
        assert outcome.kl_last < 2e-5
    else:
        assert outcome.reached == "last"


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("method", ["SPPO", "DNO"])
def test_without_regularisation_the_average_nears_the_equilibrium_and_the_last_policy_does_not(
    method: str, game: str
) -> None:
    """Hedge's regret bounds the average's gap: 2 (log n / (eta T) + eta / 8)."""
    outcome = outcomes(game)[method]
    assert outcome.gap_average < 2 * (math.log(GAMES[game].responses) / (0.3 * outcome.steps) + 0.3 / 8)
    assert outcome.gap_last > 4 * outcome.gap_average


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("method", ["DPO", "iterative DPO, scalar reward"])
def test_rewards_reach_neither_equilibrium_where_preferences_have_cycles(method: str, game: str) -> None:
    outcome = outcomes(game)[method]
    assert outcome.reached == "neither"
    assert outcome.gap_last > 0.1


def test_multiplicative_weights_never_come_nearer_to_an_equilibrium_that_plays_everything() -> None:
    game = GAMES["cycle"]
    trajectory = trajectory_of(iterative.sppo(game, eta=0.3), 150)
    assert np.all(np.diff([kl(nash(game), policy_Y) for policy_Y in trajectory]) > 0)


def test_without_resets_the_magnet_keeps_the_last_policy_away_from_the_nash_equilibrium() -> None:
    game = GAMES["cycle"]
    fixed = trajectory_of(iterative.mpo(game, 0.1, 1.35, reset_every=10_000), 300)[-1]
    reset = trajectory_of(iterative.mpo(game, 0.1, 1.35, reset_every=20), 300)[-1]
    assert kl(nash(game), reset) < 1e-3 < 1e-2 < kl(nash(game), fixed)


def test_extragradient_steps_converge_linearly_where_mirror_descent_does_not() -> None:
    extra, plain = rates(betas=(0.005,), steps=500)
    assert extra.r2 > 0.9999
    assert extra.slope < extra.guaranteed < 0
    assert plain.slope > 0 and plain.kl_T[-1] > plain.kl_T[0]


def test_extragradient_steps_are_the_faster_ones_where_both_converge() -> None:
    extra, plain = rates(betas=(0.1,), steps=300)
    assert extra.slope < plain.slope < 0
    assert extra.kl_T[-1] < 1e-12


def test_a_line_is_found_and_a_curve_is_told_from_it() -> None:
    times_T = np.arange(50.0)
    assert line(3.0 - 0.2 * times_T) == pytest.approx((-0.2, 1.0))
    assert line(np.sin(times_T))[1] < 0.1


@pytest.mark.parametrize("reference_Y", [None, random_policy(len(REWARDS), seed=3)], ids=["uniform", "uneven"])
def test_with_bradley_terry_preferences_every_method_is_its_closed_form(reference_Y) -> None:  # type: ignore[no-untyped-def]
    rows = tilts(transitive_game(reference_Y))
    assert {row.loss for row in rows} == {"dpo", "spce", "sppo", "inpo", "online_ipo", "omd"}
    assert all(row.difference < 1e-3 for row in rows)
    assert reference_Y is not None or all(row.best_is_likeliest for row in rows)
