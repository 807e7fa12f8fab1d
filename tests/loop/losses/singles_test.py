"""Losses of one labelled response."""

from __future__ import annotations

import math

import pytest
import torch

from loop.losses import named_loss
from loop.losses.singles import SINGLES, step_rewards
from tests.loop.losses.steps import (
    TOLERANCES,
    central_differences,
    close,
    evaluated,
    gradients,
    random_step,
    singles,
)

Tolerance = tuple[torch.dtype, float, float]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_prospect_of_a_desirable_and_an_undesirable_response(tolerance: Tolerance) -> None:
    """Log-ratios 2 and -4 around a reference point of .5."""
    loss, batch = named_loss("kto"), singles([2, -4], [1, 0], mismatched=[1.5, -0.5], dtype=tolerance[0])
    got_N = evaluated(loss, batch).loss_N
    close(got_N, [0.462570, 0.389361], tolerance)
    got = gradients(got_N.sum(), [batch.response.lp, batch.others["mismatched"].lp])
    close(got[0], [-0.024860, 0.023776], tolerance)
    assert got[1].tolist() == [0, 0]


def test_classes_are_weighed_apart() -> None:
    batch = singles([2, -4], [1, 0], mismatched=[1.5, -0.5])
    plain = evaluated(named_loss("kto"), batch).loss_N
    weighed = evaluated(named_loss("kto", {"lam_d": 1.3, "lam_u": 0.5}), batch).loss_N
    torch.testing.assert_close(weighed, plain * torch.tensor([1.3, 0.5], dtype=torch.float64))


def test_a_label_is_desirable_above_one_half() -> None:
    hard, soft = (
        evaluated(named_loss("kto", {"lam_u": 0.5}), singles([2, -4], labels, mismatched=[1.5, -0.5])).loss_N
        for labels in ([1, 0], [0.6, 0.4])
    )
    assert soft.tolist() == hard.tolist()


def test_reference_point_is_not_below_zero() -> None:
    loss = named_loss("kto")
    values = [
        evaluated(loss, singles([2, -4], [1, 0], mismatched=mismatched)).loss_N for mismatched in ([-9, 1], [0, 0])
    ]
    torch.testing.assert_close(*values)


def test_prospect_is_blind_to_the_hopeless_and_the_solved() -> None:
    batch = singles([1e4, -1e4, 1e4, -1e4], [1, 1, 0, 0], mismatched=[0, 0, 0, 0], dtype=torch.float32)
    value_N = evaluated(named_loss("kto"), batch).loss_N
    assert value_N.tolist() == [0, 1, 1, 0]
    assert gradients(value_N.sum(), [batch.response.lp])[0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("decay", "value", "gradient_N"),
    # A decay of 1 leaves the shift at 0, one of 0 takes this step's: half of .2 - .4.
    [(1.0, 1.111154, (-0.045017, 0.040131)), (0.0, 1.108710, (-0.1 / (1 + math.exp(0.3)), 0.1 / (1 + math.exp(0.3))))],
)
def test_classifier_of_a_pair(
    decay: float, value: float, gradient_N: tuple[float, float], tolerance: Tolerance
) -> None:
    batch = singles([2, -4], [1, 0], dtype=tolerance[0])
    got_N = evaluated(named_loss("bco", {"beta": 0.1, "decay": decay}), batch).loss_N
    close(got_N.sum(), value, tolerance)
    close(gradients(got_N.sum(), [batch.response.lp])[0], gradient_N, tolerance)


def test_reward_shift_is_halfway_between_the_classes_however_many_there_are() -> None:
    loss = named_loss("bco", {"beta": 0.1, "decay": 0.0})
    constants, state = loss.prepare(loss.read(singles([2, -4, -4, -4], [1, 0, 0, 0])), loss.initial_state())
    assert state == pytest.approx({"desirable": 0.2, "undesirable": -0.4})
    assert constants[:, 0].tolist() == pytest.approx([-0.1] * 4)


def test_reward_shift_moves_and_outlives_a_step_without_a_class() -> None:
    loss = named_loss("bco", {"beta": 0.1, "decay": 0.75})
    _, state = loss.prepare(loss.read(singles([2, -4], [1, 0])), loss.initial_state())
    assert state == pytest.approx({"desirable": 0.05, "undesirable": -0.1})
    constants, state = loss.prepare(loss.read(singles([4], [1])), state)
    assert state == pytest.approx({"desirable": 0.75 * 0.05 + 0.25 * 0.4, "undesirable": -0.1})
    assert constants[0, 0].item() == pytest.approx((0.1375 - 0.1) / 2)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_implicit_reward_is_a_logit(tolerance: Tolerance) -> None:
    batch = singles([4, -6], [1, 0], dtype=tolerance[0])
    got_N = named_loss("implicit_prm").evaluate(batch).loss_N
    close(got_N, [0.598139, 0.554355], tolerance)
    slopes = [-0.05 / (1 + math.exp(0.2)), 0.05 / (1 + math.exp(0.3))]
    close(gradients(got_N.sum(), [batch.response.lp])[0], slopes, tolerance)


def test_step_rewards_add_up_to_the_reward() -> None:
    rewards_S = step_rewards(torch.tensor([2.0, 1.5, 4.0]), 0.05)
    torch.testing.assert_close(rewards_S, torch.tensor([0.1, -0.025, 0.125]))
    assert rewards_S.sum().item() == pytest.approx(0.05 * 4.0)


def test_likelihood_per_token_and_summed() -> None:
    batch = singles([2.0, -4.0], [1, 1])
    assert named_loss("sft").evaluate(batch).loss_N.tolist() == pytest.approx([8 / 5, 14 / 5])
    assert named_loss("sft_sum").evaluate(batch).loss_N.tolist() == pytest.approx([8, 14])
    assert named_loss("sft").needs.anchors == 0


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_advantage_is_the_win_rate_less_the_penalty(tolerance: Tolerance) -> None:
    """At P = .7 and a log-ratio of 2, beta .1 takes exactly what the win rate gives."""
    batch = singles([2.0, 2.0], [0.7, 0.9], dtype=tolerance[0])
    got_N = named_loss("nash_md").evaluate(batch).loss_N
    close(got_N, [0.0, 0.2 * 8], tolerance)
    close(gradients(got_N.sum(), [batch.response.lp])[0], [0.0, -0.2], tolerance)


def test_policy_gradient_climbs_the_regularised_win_rate() -> None:
    """In expectation over the policy's samples: the gradient of beta * KL(policy || anchor) - win rate."""
    torch.manual_seed(0)
    logits_N, beta = torch.randn(5, dtype=torch.float64, requires_grad=True), 0.3
    anchor_N, wins_N = torch.randn(5, dtype=torch.float64).log_softmax(-1), torch.rand(5, dtype=torch.float64)

    log_p_N = logits_N.log_softmax(-1)
    batch = singles([0.0] * 5, wins_N.tolist())
    object.__setattr__(batch.response, "lp", log_p_N)
    object.__setattr__(batch.response, "rf", anchor_N)
    sampled = (log_p_N.exp().detach() * named_loss("nash_md", {"beta": beta}).evaluate(batch).loss_N).sum()
    objective = (log_p_N.exp() * (beta * (log_p_N - anchor_N) - wins_N)).sum()
    torch.testing.assert_close(gradients(sampled, [logits_N]), gradients(objective, [logits_N]))


@pytest.mark.parametrize("name", [row.name for row in SINGLES if row.name != "nash_md"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    loss = named_loss(name)
    batch = random_step(loss, 4, seed=1)
    prepared = loss.prepare(loss.read(batch), loss.initial_state())[0] if loss.scope == "batch" else None
    (got,) = gradients(loss.evaluate(batch, prepared).loss_N.sum(), [batch.response.lp])
    expected = central_differences(lambda: loss.evaluate(batch, prepared).loss_N.sum(), batch.response.lp)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["kto", "bco", "implicit_prm"])
@pytest.mark.parametrize("far", [-1e4, 1e4])
def test_far_log_ratios_stay_finite(name: str, far: float) -> None:
    batch = singles([far, far], [1, 0], mismatched=[far, far], dtype=torch.float32)
    value_N = evaluated(named_loss(name), batch).loss_N
    assert value_N.isfinite().all() and gradients(value_N.sum(), [batch.response.lp])[0].isfinite().all()


def test_needs_are_declared() -> None:
    found = {row.name: (row.kind, row.needs.anchors, row.needs.labels, row.needs.others) for row in SINGLES}
    assert found == {
        "sft": ("single", 0, "", ()),
        "sft_sum": ("single", 0, "", ()),
        "implicit_prm": ("single", 1, "desirable", ()),
        "nash_md": ("single", 1, "win_rate", ()),
        "kto": ("single", 1, "desirable", ("mismatched",)),
        "bco": ("single", 1, "desirable", ()),
    }
