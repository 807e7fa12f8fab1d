"""What a margin means: a difference of win rates, the same one whichever rule finds the pair."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from loop.games.examples import differences, pairs, two_draws
from loop.losses import named_loss
from loop.pairing import RULES
from loop.pairing.found import Found
from loop.verdict import Verdict
from loop.verdicts import sigmoid
from tests.loop.pairing.cases import found, samples

MU_Y = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
REFERENCE_Y = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64).log()
BEATS_YY = torch.tensor([[0.5, 0.9, 0.2], [0.1, 0.5, 0.7], [0.8, 0.3, 0.5]], dtype=torch.float64)
"""A judge in a circle, which no scores explain."""
BETA = 0.1


def pair_of_draws(y: int, other: int) -> Found | None:
    """The example of two samples with these contents, which the judge compares once."""
    p = BEATS_YY[y, other].item()
    two = samples(2, tokens_T=[[y], [other]])
    return next(iter(found("unordered", two, Verdict(preferences_KK=((0.5, p), (1 - p, 0.5))))), None)


def of_draws(value: Callable[[Found], float], turned: Callable[[float], float], alike: float) -> Tensor:
    """A value of each example in the order of the draws, `[Y, Y]`: turned where the second was chosen, `alike` where
    both draws are the same response, which is no example and has no gradient."""

    def one(y: int, other: int) -> float:
        pair = pair_of_draws(y, other)
        return alike if pair is None else value(pair) if pair.members == (0, 1) else turned(value(pair))

    size = range(len(MU_Y))
    return torch.tensor([one(y, other) for y, other in product(size, size)], dtype=torch.float64).view(3, 3)


def gradient(loss: str, policy_Y: Tensor, strength_YY: Tensor, margin_YY: Tensor) -> Tensor:
    """Of the expected loss over two draws of MU, `[Y]`."""
    leaf_Y = policy_Y.clone().requires_grad_()
    batch = pairs(leaf_Y, [REFERENCE_Y], two_draws(MU_Y.log()), strength_YY=strength_YY, margin_YY=margin_YY)
    named_loss(loss, {"beta": BETA}).evaluate(batch).loss_N.sum().backward()
    assert leaf_Y.grad is not None
    return leaf_Y.grad


def test_mirror_descent_on_margins_of_two_samples_is_online_ipo() -> None:
    margin_YY = of_draws(lambda pair: pair.margin, lambda margin: -margin, alike=0.0)
    strength_YY = of_draws(lambda pair: pair.strength, lambda strength: 1 - strength, alike=0.5)
    for start_Y in (REFERENCE_Y, MU_Y.log(), torch.tensor([0.3, -2.0, 1.0], dtype=torch.float64)):
        ipo_Y = gradient("online_ipo", start_Y, strength_YY, margin_YY)
        assert ipo_Y.abs().max() > 0.1
        torch.testing.assert_close(gradient("omd", start_Y, strength_YY, margin_YY), ipo_Y)


def test_margins_of_two_samples_lead_where_the_true_win_rates_do() -> None:
    """`log pi / ref = P(y beats mu) / beta` up to a constant: the step of mirror descent, without any opponent."""
    margin_YY = of_draws(lambda pair: pair.margin, lambda margin: -margin, alike=0.0)
    rate_Y = BEATS_YY @ MU_Y
    best_Y = REFERENCE_Y + rate_Y / BETA
    nothing_YY = torch.zeros(3, 3, dtype=torch.float64)
    for found_YY in (margin_YY, differences(rate_Y)):
        torch.testing.assert_close(
            gradient("omd", best_Y, nothing_YY, found_YY), torch.zeros_like(best_Y), atol=1e-12, rtol=0
        )


@pytest.mark.parametrize(
    "name", [n for n, rule in RULES.items() if rule.reads == "preferences" and rule.gives == "pair"]
)
@pytest.mark.parametrize("p", [0.8, 0.3])
def test_two_that_are_known_only_from_each_other_differ_by_strength_less_one_half(name: str, p: float) -> None:
    two = Verdict(preferences_KK=((0.5, p), (1 - p, 0.5)))
    (pair,) = found(name, samples(2), two)
    assert pair.margin == pytest.approx(abs(p - 0.5))
    judged = sigmoid(2 * pair.margin) if name == "soft_win_rate" else max(p, 1 - p)
    assert pair.strength == pytest.approx(judged)
