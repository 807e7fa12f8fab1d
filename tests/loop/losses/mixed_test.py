"""Self-improving robust preference optimisation."""

from __future__ import annotations

import pytest
import torch

from loop.losses import PairBatch, named_loss
from loop.losses.mixed import REVISIONS, improver, robust
from tests.loop.losses.fixtures import F1, pair_batch
from tests.loop.losses.steps import (
    TOLERANCES,
    central_differences,
    close,
    evaluated,
    gradients,
    leaves,
    mapped,
    random_step,
)

Tolerance = tuple[torch.dtype, float, float]


def revised(dtype: torch.dtype = torch.float64, strength: float = 1.0, **ratios: float) -> PairBatch:
    """A pair with log-ratios +2 and -2, and those of the revisions (0 where not given)."""
    others = {role: {"lp": ratios.get(role, 0.0) - 5.0, "rf": -5.0} for role in REVISIONS}
    return pair_batch(F1, dtype=dtype, others=others, strength=strength)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_improver_regresses_both_orders(tolerance: Tolerance) -> None:
    dtype = tolerance[0]
    shown_rejected = revised(dtype, chosen_given_rejected=2.0, rejected_given_rejected=0.5)
    # The other order stands at gain 0, an error of 1/2: (.0625 + .25) / 2.
    close(improver(shown_rejected, {"beta": 0.5}), [(0.0625 + 0.25) / 2], tolerance)
    both = revised(
        dtype,
        chosen_given_rejected=3.0,
        rejected_given_rejected=0.5,
        chosen_given_chosen=0.2,
        rejected_given_chosen=-1.0,
    )
    close(improver(both, {"beta": 0.1}), [(0.0625 + 0.1444) / 2], tolerance)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_generator_and_improver_explain_the_preference_together(tolerance: Tolerance) -> None:
    batch = revised(tolerance[0], chosen_given_rejected=1.0, rejected_given_chosen=-0.5)
    got_N = robust(batch, {"beta": 0.5})
    close(got_N, [0.765625], tolerance)
    close(gradients(got_N.sum(), [batch.chosen.lp])[0], [2 * 0.875 * 0.25], tolerance)


def test_regression_to_one_instead_of_one_half_is_four_times_as_large() -> None:
    """The same condition multiplied by two, (1 - beta * [...])^2, is found in the literature; at beta .1 it is .01."""
    batch = revised(chosen_given_rejected=3.0, rejected_given_chosen=-1.0)
    batch.chosen.lp.data[:], batch.rejected.lp.data[:] = -10 + 2.0, -9 - 3.0
    assert robust(batch, {"beta": 0.1}).item() == pytest.approx(0.01 / 4, rel=1e-9)


def test_swapping_the_answers_of_a_graded_pair_changes_nothing() -> None:
    loss = named_loss("srpo")
    pairs = random_step(loss, 6)
    assert isinstance(pairs, PairBatch)
    names = {
        role: role.replace("chosen", "?").replace("rejected", "chosen").replace("?", "rejected") for role in REVISIONS
    }
    swapped = PairBatch(
        chosen=pairs.rejected,
        rejected=pairs.chosen,
        strength=1 - pairs.strength,
        margin=-pairs.margin,
        weight=pairs.weight,
        others={role: pairs.others[names[role]] for role in REVISIONS},
    )
    torch.testing.assert_close(loss.evaluate(swapped).loss_N, loss.evaluate(pairs).loss_N, rtol=1e-12, atol=1e-12)


def test_a_consistent_policy_has_no_loss() -> None:
    """Generator and improver tilted by the same preferences: every log-ratio gap is its preference over beta."""
    gain = (0.8 - 0.5) / 0.1
    batch = revised(
        strength=0.8,
        chosen_given_rejected=gain + 1.0,
        rejected_given_rejected=1.0,
        chosen_given_chosen=gain - 4.0,
        rejected_given_chosen=-4.0,
    )
    # robust: rho gap + g(w|l) - g(l|w) = 2 * gain
    batch.chosen.lp.data[:] = batch.chosen.rf + 2 * gain - (gain + 1.0) - 4.0
    batch.rejected.lp.data[:] = batch.rejected.rf
    assert named_loss("srpo").evaluate(batch).loss_N.item() == pytest.approx(0, abs=1e-20)


def test_share_of_the_two_terms() -> None:
    batch = revised(chosen_given_rejected=1.0, rejected_given_chosen=-0.5)
    parts = [of(batch, {"beta": 0.5}).item() for of in (improver, robust)]
    for alpha in (0.0, 0.25, 1.0):
        got = named_loss("srpo", {"beta": 0.5, "alpha": alpha}).evaluate(batch).loss_N.item()
        assert got == pytest.approx((1 - alpha) * parts[0] + alpha * parts[1], rel=1e-12)
    assert named_loss("srpo").options["alpha"] == 0.25


def test_gradients_agree_with_finite_differences() -> None:
    loss = named_loss("srpo", {"nll": 0.2})
    batch = random_step(loss, 3)
    for leaf, got in zip(leaves(batch), gradients(evaluated(loss, batch).loss_N.sum(), leaves(batch)), strict=True):
        torch.testing.assert_close(got, central_differences(lambda: evaluated(loss, batch).loss_N.sum(), leaf))


def test_far_log_ratios_stay_finite() -> None:
    loss = named_loss("srpo")
    batch = mapped(random_step(loss, 3), lambda value: (value * 1e3).float())
    assert loss.evaluate(batch).loss_N.isfinite().all()
