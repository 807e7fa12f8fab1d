"""Every loss: how a step is split into micro-batches and ranks changes neither its loss nor its gradient."""

from __future__ import annotations

from itertools import chain, combinations, pairwise

import pytest
import torch
from torch import Tensor

from loop.losses import ROWS, Loss, named_loss
from loop.losses.batch import Batch
from tests.loop.losses.steps import evaluated, gradients, leaves, random_step, rows_of

EXAMPLES = 5
SPLITS = [
    [list(range(start, end)) for start, end in pairwise((0, *cuts, EXAMPLES))]
    for cuts in chain.from_iterable(combinations(range(1, EXAMPLES), count) for count in range(EXAMPLES))
]
"""Every split of the step into micro-batches of neighbours."""
RANKS = [[[[0, 2], [4]], [[1], [3]]], [[[3, 0]], [[4, 1]], [[2]]]]
"""By rank, its micro-batches."""


def split(loss: Loss, step: Batch, micro_batches: list[list[int]], prepared_ES: Tensor | None) -> Tensor:
    """The sum over the step, micro-batch by micro-batch."""
    terms = [
        loss.evaluate(rows_of(step, indexes), None if prepared_ES is None else prepared_ES[indexes]).loss_N.sum()
        for indexes in micro_batches
    ]
    return torch.stack(terms).sum()


def prepared(
    loss: Loss, step: Batch, micro_batches: list[list[int]], state: dict[str, float]
) -> tuple[Tensor | None, dict[str, float]]:
    """Readings taken micro-batch by micro-batch, put into the step's order, and prepared once."""
    if loss.scope == "example":
        return None, {}
    readings = torch.cat([loss.read(rows_of(step, indexes)) for indexes in micro_batches])
    order = torch.tensor(list(chain.from_iterable(micro_batches))).argsort()
    return loss.prepare(readings[order], state)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_no_split_of_a_step_changes_its_loss_or_gradient(name: str) -> None:
    loss = named_loss(name)
    step = random_step(loss, EXAMPLES)
    takes = leaves(step)
    whole = evaluated(loss, step).loss_N.sum()
    whole_gradients = gradients(whole, takes)
    assert whole.isfinite() and any(one.abs().sum() > 0 for one in whole_gradients)
    for micro_batches in [*SPLITS, *(list(chain.from_iterable(ranks)) for ranks in RANKS)]:
        constants, _ = prepared(loss, step, micro_batches, loss.initial_state())
        value = split(loss, step, micro_batches, constants)
        torch.testing.assert_close(value, whole, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(gradients(value, takes), whole_gradients, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", sorted(name for name in ROWS if named_loss(name).scope == "batch"))
def test_ties_are_broken_alike_in_every_split(name: str) -> None:
    loss = named_loss(name)
    step = rows_of(random_step(loss, EXAMPLES), [0, 1, 0, 1, 1])
    values = []
    for micro_batches in [*SPLITS, *(list(chain.from_iterable(ranks)) for ranks in RANKS)]:
        constants, _ = prepared(loss, step, micro_batches, loss.initial_state())
        values.append(loss.evaluate(step, constants).loss_N.detach())
    for value_N in values:
        assert value_N.tolist() == values[0].tolist()


@pytest.mark.parametrize("name", sorted(name for name in ROWS if named_loss(name).scope == "batch"))
def test_state_evolves_the_same_over_every_split(name: str) -> None:
    loss = named_loss(name)
    steps = [random_step(loss, EXAMPLES, seed) for seed in range(12)]
    told: list[tuple[dict[str, float], Tensor | None]] = []
    for micro_batches in [[list(range(EXAMPLES))], *(list(chain.from_iterable(ranks)) for ranks in RANKS)]:
        state = loss.initial_state()
        for step in steps:
            constants, state = prepared(loss, step, micro_batches, state)
        told.append((state, constants))
    first_state, first_constants = told[0]
    for state, constants in told[1:]:
        assert state == pytest.approx(first_state, rel=1e-10)
        torch.testing.assert_close(constants, first_constants, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", sorted(name for name in ROWS if named_loss(name).scope == "batch"))
def test_readings_carry_no_gradient_and_one_row_an_example(name: str) -> None:
    loss = named_loss(name)
    readings = loss.read(random_step(loss, EXAMPLES))
    constants, _ = loss.prepare(readings, loss.initial_state())
    assert not readings.requires_grad and not constants.requires_grad
    assert len(readings) == len(constants) == EXAMPLES
