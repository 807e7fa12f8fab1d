"""Pairwise losses of a whole step."""

from __future__ import annotations

import math

import pytest
import torch

from loop.losses import PairBatch, Row, named_loss
from loop.losses.batched import BATCHED, at_same_rank, tenth_percentile
from loop.losses.kernels import logistic
from tests.loop.losses.fixtures import B, P, Q, pair_batch
from tests.loop.losses.steps import (
    TOLERANCES,
    central_differences,
    close,
    evaluated,
    gradients,
    mapped,
    random_step,
    rows_of,
)

Tolerance = tuple[torch.dtype, float, float]


def margins(*of: float) -> PairBatch:
    """Pairs with these margins of the log-ratios, all on the chosen side."""
    return pair_batch(*({"lp_w": h - 20, "rf_w": -20.0, "lp_l": -20.0, "rf_l": -20.0} for h in of))


def sorted_loss(name: str, pairs: PairBatch, beta: float) -> torch.Tensor:
    """AOT as written in the paper, differentiated through the sorting."""
    chosen, rejected = pairs.chosen, pairs.rejected
    if name == "aot":
        first_N, second_N = chosen.lp - rejected.lp, chosen.rf - rejected.rf
    else:
        first_N, second_N = chosen.ratio, rejected.ratio
    z_N = beta * (first_N.sort().values - second_N.sort().values)
    return logistic(z_N, torch.ones_like(z_N)).sum()


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "value", "deltas"), [("aot", 0.277135, (13.0, 10.0)), ("aot_unpaired", 0.293543, (16.0, 7.0))]
)
def test_two_pairs_compared_by_rank(name: str, value: float, deltas: tuple[float, float], tolerance: Tolerance) -> None:
    batch = pair_batch(*B, dtype=tolerance[0])
    got = evaluated(named_loss(name, {"beta": 0.1}), batch).loss_N
    close(got.mean(), value, tolerance)
    slopes = [-0.1 / (1 + math.exp(0.1 * delta)) for delta in deltas]
    # Unpaired, the best chosen side meets the best rejected one: of the other pair.
    rejected = slopes if name == "aot" else slopes[::-1]
    by_chosen, by_rejected = gradients(got.sum(), [batch.chosen.lp, batch.rejected.lp])
    close(by_chosen, slopes, tolerance)
    close(by_rejected, [-slope for slope in rejected], tolerance)


@pytest.mark.parametrize("name", ["aot", "aot_unpaired"])
def test_value_and_gradient_are_those_of_sorting_the_whole_step(name: str) -> None:
    loss = named_loss(name, {"beta": 0.4})
    step = random_step(loss, 9, seed=2)
    assert isinstance(step, PairBatch)
    object.__setattr__(step, "weight", torch.ones(9, dtype=torch.float64))
    sides = [step.chosen.lp, step.rejected.lp]
    value, expected = evaluated(loss, step).loss_N.sum(), sorted_loss(name, step, 0.4)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(value, sides), gradients(expected, sides), rtol=1e-12, atol=1e-12)


def test_a_weight_belongs_to_an_examples_own_two_sides() -> None:
    loss, batch = named_loss("aot_unpaired"), pair_batch(P, {**Q, "weight": 3.0})
    plain = pair_batch(P, Q)
    weighed_w, weighed_l, plain_w, plain_l = (
        one
        for step in (batch, plain)
        for one in gradients(evaluated(loss, step).loss_N.sum(), [step.chosen.lp, step.rejected.lp])
    )
    thrice_N = torch.tensor([1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close((weighed_w, weighed_l), (thrice_N * plain_w, thrice_N * plain_l))


@pytest.mark.parametrize("name", ["aot", "aot_unpaired"])
def test_a_step_of_one_pair_is_an_ordinary_pair(name: str) -> None:
    ranked, plain = evaluated(named_loss(name, {"beta": 0.1}), pair_batch(P)), named_loss("dpo").evaluate(pair_batch(P))
    torch.testing.assert_close(ranked.loss_N, plain.loss_N)


def test_equal_values_are_ranked_in_the_steps_order() -> None:
    values_E, of_E = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([40.0, 30.0, 20.0, 10.0])
    assert at_same_rank(values_E, of_E).tolist() == [30, 10, 40, 20]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_beta_grows_with_the_margin_above_its_moving_mean(tolerance: Tolerance) -> None:
    """The mean before the step is such that this step's margin of 6 moves it to 2: beta = .1 * (1 + .6 * (6 - 2))."""
    batch, state = pair_batch(P, dtype=tolerance[0]), {"mean": 14 / 9}
    loss = named_loss("beta_dpo")
    got_N = evaluated(loss, batch, state).loss_N
    close(got_N, [0.122243], tolerance)
    close(gradients(got_N.sum(), [batch.chosen.lp])[0], [-0.039123], tolerance)
    close(gradients(got_N.sum(), [batch.rejected.lp])[0], [0.039123], tolerance)
    assert loss.prepare(loss.read(batch), state)[1] == pytest.approx({"mean": 2.0})


def test_pairs_far_from_the_moving_mean_are_left_out_and_the_others_make_up_the_mean() -> None:
    loss, batch = named_loss("beta_dpo", {"keep": 0.6, "sensitivity": 0.0}), margins(0.5, 90.0, -70.0, 1.0, 0.0)
    got_N = evaluated(loss, batch, {"mean": 0.0}).loss_N
    kept = [0, 3, 4]
    dpo_N = named_loss("dpo").evaluate(batch).loss_N
    assert [index for index in range(5) if got_N[index] > 0] == kept
    torch.testing.assert_close(got_N.mean(), dpo_N[kept].mean())


def test_beta_is_that_of_the_kept_pairs_and_not_below_a_floor() -> None:
    loss = named_loss("beta_dpo", {"keep": 0.5, "momentum": 0.5})
    constants, state = loss.prepare(loss.read(margins(1.0, 50.0, 2.0, -49.0)), {"mean": 1.0})
    assert constants[:, 0].tolist() == pytest.approx([0.1 * (1 + 0.6 * 0.5)] * 4)
    assert constants[:, 1].tolist() == [2, 0, 2, 0]
    assert state == {"mean": 1.0}
    constants, _ = loss.prepare(loss.read(margins(-9.0)), {"mean": 1.0})
    assert constants[0].tolist() == pytest.approx([1e-3, 1.0])


def test_the_number_of_kept_pairs_is_rounded() -> None:
    loss = named_loss("beta_dpo", {"keep": 0.8})
    constants, _ = loss.prepare(loss.read(margins(1.0, 2.0)), {"mean": 1.5})
    assert constants[:, 1].tolist() == [1, 1]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_labels_that_the_policy_doubts_are_smoothed(tolerance: Tolerance) -> None:
    """The tenth percentile of the remembered margins is 0: only the pair below it is smoothed."""
    state = {f"margin_{index:02}": -1.0 if index < 5 else 0.0 for index in range(50)}
    batch = mapped(margins(-2.0, 0.5, 3.0, 7.0), lambda value: value.detach().to(tolerance[0]).requires_grad_())
    assert isinstance(batch, PairBatch)
    got_N = evaluated(named_loss("spa"), batch, state).loss_N
    close(got_N, [0.778139, 0.668460, 0.554355, 0.403186], tolerance)
    targets, z = (0.9, 1.0, 1.0, 1.0), (-0.2, 0.05, 0.3, 0.7)
    slopes = [0.1 * (1 / (1 + math.exp(-one)) - target) for one, target in zip(z, targets, strict=True)]
    close(gradients(got_N.sum(), [batch.chosen.lp])[0], slopes, tolerance)


def test_tenth_percentile_of_fifty() -> None:
    assert tenth_percentile([float((7 * index) % 50) for index in range(50)]) == 5.5


def test_labels_are_hard_until_fifty_margins_are_known_and_old_ones_are_forgotten() -> None:
    loss = named_loss("spa", {"beta": 1.0})
    state = loss.initial_state()
    for step in range(7):
        constants, state = loss.prepare(loss.read(margins(*range(8 * step, 8 * step + 7), -1e3)), state)
        assert constants[:, 0].tolist() == [1.0] * 8
    assert [state[name] for name in sorted(state)][-8:] == [48, 49, 50, 51, 52, 53, 54, -1e3]
    assert len(state) == 50 and 5.0 not in state.values() and 6.0 in state.values()
    constants, _ = loss.prepare(loss.read(margins(-1e3, 5.0, 30.0)), state)
    # Seven margins of -1000 are remembered: a margin that is not above them is doubted.
    assert constants[:, 0].tolist() == [0.9, 1.0, 1.0]


@pytest.mark.parametrize("row", [row for row in BATCHED if row.name != "aot_unpaired"], ids=lambda row: row.name)
def test_gradients_agree_with_finite_differences(row: Row) -> None:
    loss = named_loss(row.name, {"nll": 0.3})
    step = random_step(loss, 5, seed=4)
    assert isinstance(step, PairBatch)
    constants, _ = loss.prepare(loss.read(step), loss.initial_state())
    for leaf in (step.chosen.lp, step.rejected.lp):
        (got,) = gradients(loss.evaluate(step, constants).loss_N.sum(), [leaf])
        expected = central_differences(lambda: loss.evaluate(step, constants).loss_N.sum(), leaf)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("row", BATCHED, ids=lambda row: row.name)
@pytest.mark.parametrize("far", [-1e4, 1e4])
def test_far_log_ratios_stay_finite(row: Row, far: float) -> None:
    batch = mapped(margins(far, 0.0, 2.0), lambda value: value.detach().float().requires_grad_())
    assert isinstance(batch, PairBatch)
    value_N = evaluated(named_loss(row.name), batch).loss_N
    assert value_N.isfinite().all() and gradients(value_N.sum(), [batch.chosen.lp])[0].isfinite().all()


def test_statistics_matter() -> None:
    """Half a step prepared by itself is another loss: the invariance over splits is not for want of statistics."""
    for row in BATCHED:
        if row.name == "spa":  # looks back at earlier steps only
            continue
        loss = named_loss(row.name)
        step = random_step(loss, 6, seed=5)
        halves = [evaluated(loss, rows_of(step, half)).loss_N.sum() for half in ([0, 1, 2], [3, 4, 5])]
        assert (sum(halves) - evaluated(loss, step).loss_N.sum()).abs() > 1e-6, row.name
