"""Iterative methods: a round draws pairs with the policy that it begins with, labels them, freezes its anchors, and
moves to the optimum of the loss.

Each is an iterator over policies (log-probs `[Y]`), the first one included; only DPO's ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from loop.anchors import resolve
from loop.games.examples import differences, judged, pairs, two_draws
from loop.games.learning import optimum
from loop.games.matrices import Game, bradley_terry
from loop.losses import Loss, named_loss
from loop.losses.batch import Batch
from loop.records import PolicyVersion

Policies = Iterator[Tensor]

Drawn = Callable[[Tensor, Sequence[Tensor], Tensor], Batch]
"""From the policy, the anchors and the policy that draws (log-probs `[Y]`) to examples."""


def sppo(game: Game, eta: float) -> Policies:
    """Self-play preference optimisation, arXiv:2405.00675: `log pi/pi_t` regressed to `eta * (win rate - 1/2)`. Without
    regularisation: it plays multiplicative weights against itself."""
    return _rounds(
        game,
        named_loss("sppo", {"beta": 1.0 / eta}),
        {"previous": {}},
        lambda policy_Y, anchors, drawn_Y: pairs(policy_Y, anchors, two_draws(drawn_Y), label_Y=game.win_rate(drawn_Y)),
    )


def dno(game: Game, eta: float) -> Policies:
    """Direct Nash optimisation, arXiv:2404.03715, algorithm 1: cross-entropy with the target
    sigmoid(difference of win rates against pi_t), score `h / eta`. Without regularisation."""
    return _rounds(
        game,
        named_loss("spce", {"beta": 1.0 / eta}),
        {"previous": {}},
        lambda policy_Y, anchors, drawn_Y: pairs(
            policy_Y, anchors, two_draws(drawn_Y), strength_YY=differences(game.win_rate(drawn_Y)).sigmoid()
        ),
    )


def inpo(game: Game, eta: float) -> Policies:
    """Iterative Nash policy optimisation, arXiv:2407.00617, eq. 8, tau being the game's beta: hard labels and two
    anchors, the first policy and the last one."""
    loss = named_loss("inpo", {"eta": eta, "share": game.beta / eta})
    return _rounds(game, loss, {"initial": {}, "previous": {}}, _judged(game))


def mpo(game: Game, tau: float, eta: float, reset_every: int) -> Policies:
    """Magnetic preference optimisation, arXiv:2410.16714: INPO with a magnet in place of the first policy, reset to the
    current policy every so many rounds. Pulls of strength tau to ever better magnets leave no regularisation."""
    anchors: dict[str, Mapping[str, float]] = {"magnet": {"reset_every": reset_every}, "previous": {}}
    return _rounds(game, named_loss("inpo", {"eta": eta, "share": tau / eta}), anchors, _judged(game))


def dpo(game: Game) -> Policies:
    """Direct preference optimisation, arXiv:2305.18290: hard labels, anchor the reference, and one round, since later
    ones on pairs of the policy itself would be another method."""
    return islice(_rounds(game, named_loss("dpo", {"beta": game.beta}), {"initial": {}}, _judged(game)), 2)


def osp(game: Game) -> Policies:
    """Online self-preferring, arXiv:2405.14103: soft cross-entropy with graded strengths, anchor the reference."""
    return _rounds(
        game,
        named_loss("spce", {"beta": game.beta}),
        {"initial": {}},
        lambda policy_Y, anchors, drawn_Y: pairs(
            policy_Y, anchors, two_draws(drawn_Y), strength_YY=game.preferences_YY
        ),
    )


def reward_dpo(game: Game, beta: float) -> Policies:
    """Iterative DPO whose judge is a scalar reward model, the Bradley-Terry scores of the reference's pairs; anchor:
    the last policy. (With beta 1 the log-ratios of a policy trained by DPO *are* those scores.)"""
    loss = named_loss("dpo", {"beta": 1.0})
    reference_Y = game.reference_Y
    fitted_Y = optimum(
        reference_Y, loss, lambda policy_Y: _judged(game)(policy_Y, [reference_Y], reference_Y), reference_Y
    )
    modelled = Game(game.name, bradley_terry(fitted_Y - reference_Y), reference_Y, game.beta)
    return _rounds(modelled, named_loss("dpo", {"beta": beta}), {"previous": {}}, _judged(modelled))


def _judged(game: Game) -> Drawn:
    return lambda policy_Y, anchors, drawn_Y: pairs(policy_Y, anchors, judged(game, drawn_Y))


def _rounds(game: Game, loss: Loss, anchors: Mapping[str, Mapping[str, float]], examples: Drawn) -> Policies:
    """Each round begins with the last one's policy, which draws; the anchors, in the loss's order, are what
    `loop.anchors` says they are in that round."""
    versions: list[PolicyVersion] = []
    policies: dict[str, Tensor] = {}
    policy_Y = game.reference_Y
    while True:
        yield policy_Y
        versions.append(PolicyVersion(len(versions), len(versions)))
        policies[str(versions[-1])] = policy_Y
        frozen = [_anchor(kind, options, versions, policies) for kind, options in anchors.items()]
        policy_Y = _round(policy_Y, loss, frozen, examples)


def _round(drawn_Y: Tensor, loss: Loss, frozen: Sequence[Tensor], examples: Drawn) -> Tensor:
    return optimum(drawn_Y, loss, lambda policy_Y: examples(policy_Y, frozen, drawn_Y), drawn_Y)


def _anchor(
    kind: str, options: Mapping[str, float], versions: Sequence[PolicyVersion], policies: Mapping[str, Tensor]
) -> Tensor:
    resolved = resolve(kind, len(versions), versions, options, seed=0)
    weighted = [w * policies[label] for w, label in zip(resolved.weights, resolved.labels, strict=True)]
    return torch.stack(weighted).sum(0)
