"""Online methods: a gradient step of the expected loss, and new draws. Each is an endless iterator over policies
(log-probs `[Y]`), the first one included."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from loop.games.examples import differences, pairs, singles, two_draws
from loop.games.iterative import Policies
from loop.games.learning import step
from loop.games.matrices import Game, uniform
from loop.losses import named_loss


def online_ipo(game: Game, size: float) -> Policies:
    """Online IPO, arXiv:2403.08635, as gradient steps of that size on the policy's own pairs."""
    loss = named_loss("online_ipo", {"beta": game.beta})
    policy_Y = game.reference_Y
    while True:
        yield policy_Y
        examples = partial(
            pairs, anchors=[game.reference_Y], drawn_YY=two_draws(policy_Y), strength_YY=game.preferences_YY
        )
        policy_Y = step(policy_Y, loss, examples, size)


def omd(game: Game, eta: float, start_Y: Tensor | None = None) -> Policies:
    """Online mirror descent, `pi' ~ pi^(1 - eta beta) ref^(eta beta) exp(eta P(y beats pi))`, as gradient steps."""
    policy_Y = game.reference_Y if start_Y is None else start_Y.log_softmax(0)
    while True:
        yield policy_Y
        policy_Y = mirror_step(game, policy_Y, policy_Y, eta)


def egpo(game: Game, eta: float, start_Y: Tensor | None = None) -> Policies:
    """Extragradient preference optimisation, arXiv:2503.08942: a look-ahead, then back, and the whole step with
    preferences against the look-ahead."""
    policy_Y = game.reference_Y if start_Y is None else start_Y.log_softmax(0)
    while True:
        yield policy_Y
        ahead_Y = mirror_step(game, policy_Y, policy_Y, eta)
        policy_Y = mirror_step(game, policy_Y, ahead_Y, eta)


def nash_md(game: Game) -> Policies:
    """Nash mirror descent, arXiv:2312.00886: each step is OMD's against the geometric mixture with the reference. Steps
    eta = 2 / (beta (t + 2)) as in its theorem 1; the mixture has weight eta * beta, and goes with them."""
    policy_Y, t = game.reference_Y, 0
    while True:
        yield policy_Y
        weight = 2.0 / (t + 2.0)
        policy_Y = mirror_step(game, policy_Y, mixture(game, policy_Y, weight), weight / game.beta)
        t += 1


def nash_md_pg(game: Game, size: float, weight: float) -> Policies:
    """Nash-MD as a policy gradient against a mixture of constant weight, as it is run on language models. Where it
    rests, the *mixture* is the equilibrium for beta / (1 - weight), and the policy is sharper."""
    loss = named_loss("nash_md", {"beta": game.beta})
    policy_Y = game.reference_Y
    while True:
        yield policy_Y
        rate_Y = game.win_rate(mixture(game, policy_Y, weight))
        examples = partial(singles, anchors=[game.reference_Y], drawn_Y=policy_Y.exp(), label_Y=rate_Y)
        policy_Y = step(policy_Y, loss, examples, size)


def mixture(game: Game, policy_Y: Tensor, weight: float) -> Tensor:
    """`pi^(1 - weight) ref^weight`, normalised; log-probs."""
    return ((1.0 - weight) * policy_Y + weight * game.reference_Y).log_softmax(0)


def mirror_step(game: Game, policy_Y: Tensor, opponent_Y: Tensor, eta: float) -> Tensor:
    """`pi' ~ pi^(1 - eta beta) ref^(eta beta) exp(eta P(y beats opponent))`, as one gradient step.

    The loss is `(h - (P(y) - P(y')) / beta)^2` over uniform pairs. A logit stands in the first place of Y and in the
    second place of Y of Y^2 pairs, so its gradient is 4/Y times what it is off by; eta beta of that is taken.
    """
    loss = named_loss("omd", {"beta": game.beta})
    examples = partial(
        pairs,
        anchors=[game.reference_Y],
        drawn_YY=two_draws(uniform(game.responses)),
        margin_YY=differences(game.win_rate(opponent_Y)),
    )
    return step(policy_Y, loss, examples, size=eta * game.beta * game.responses / 4.0)
