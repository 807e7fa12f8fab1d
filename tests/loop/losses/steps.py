"""Whole optimiser steps of random examples, for a loss of any kind, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from loop.losses import ListBatch, Loss, PairBatch, Side, SingleBatch, Terms
from loop.losses.batch import Batch

TOLERANCES = [(torch.float64, 1e-5, 2e-6), (torch.float32, 1e-4, 2e-6)]
"""dtype, relative and absolute tolerance for numbers given to six decimals."""


def close(got: Tensor, expected: Any, tolerance: tuple[torch.dtype, float, float]) -> None:
    """Fails unless equal within the tolerance, element by element."""
    _, relative, absolute = tolerance
    torch.testing.assert_close(
        got.detach().double(),
        torch.as_tensor(expected, dtype=torch.float64),
        rtol=relative,
        atol=absolute,
    )


def singles(
    ratios: Sequence[float],
    labels: Sequence[float],
    mismatched: Sequence[float] | None = None,
    dtype: torch.dtype = torch.float64,
) -> SingleBatch:
    """Labelled responses by their log-ratios; the anchor gives each -10, and each has 5 tokens."""

    def side(ratios: Sequence[float], labels: Sequence[float] | None = None) -> Side:
        rf_N = torch.full((len(ratios),), -10.0, dtype=dtype)
        label_N = None if labels is None else torch.tensor(labels, dtype=dtype)
        lp_N = (torch.tensor(ratios, dtype=dtype) + rf_N).requires_grad_()
        return Side(lp=lp_N, rf=rf_N, n=torch.full_like(rf_N, 5), label=label_N)

    others = {} if mismatched is None else {"mismatched": side(mismatched)}
    return SingleBatch(response=side(ratios, labels), weight=torch.ones(len(ratios), dtype=dtype), others=others)


def random_step(loss: Loss, examples: int, seed: int = 0) -> Batch:
    """Examples of the loss's kind in float64, with every input that a loss may ask for."""
    random = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=random, dtype=torch.float64)

    def side(*shape: int) -> Side:
        rf = uniform(-12, -4, *shape)
        return Side(
            lp=(rf + uniform(-2, 2, *shape)).requires_grad_(),
            rf=rf,
            n=torch.randint(2, 9, shape, generator=random).double(),
            second=rf + uniform(-1, 1, *shape),
            label=torch.randint(0, 5, shape, generator=random).double() / 4,
            kl=uniform(0, 1, *shape).requires_grad_(),
            alignment=uniform(-1, 0.5, *shape),
            common=uniform(-1, 1, *shape).requires_grad_(),
        )

    weight_N = uniform(0.5, 2, examples)
    if loss.row.kind == "list":
        mask_NK = torch.arange(4) < torch.randint(2, 5, (examples, 1), generator=random)
        return ListBatch(items=side(examples, 4), mask=mask_NK, weight=weight_N)
    others = {role: side(examples) for role in loss.needs.others}
    if loss.row.kind == "single":
        return SingleBatch(response=side(examples), weight=weight_N, others=others)
    return PairBatch(
        chosen=side(examples),
        rejected=side(examples),
        strength=uniform(0.05, 0.95, examples),
        margin=uniform(0, 2, examples),
        weight=weight_N,
        gain=uniform(0, 0.69, examples),
        others=others,
    )


def mapped(batch: Batch, of: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with `of` applied to each of its tensors."""

    def one(value: Any) -> Any:
        if isinstance(value, Tensor):
            return of(value)
        if isinstance(value, Side):
            return replace(value, **{f.name: one(getattr(value, f.name)) for f in fields(value)})
        return {key: one(its) for key, its in value.items()} if isinstance(value, Mapping) else value

    return replace(batch, **{f.name: one(getattr(batch, f.name)) for f in fields(batch)})


def rows_of(batch: Batch, indexes: Sequence[int]) -> Batch:
    """Some of the batch's examples, in that order, with gradients that reach the whole batch's leaves."""
    return mapped(batch, lambda value: value[list(indexes)])


def leaves(batch: Batch) -> list[Tensor]:
    """The batch's tensors that take gradients."""
    found: list[Tensor] = []
    mapped(batch, lambda value: (found.append(value) if value.requires_grad else None, value)[1])
    return found


def evaluated(loss: Loss, batch: Batch, state: Mapping[str, float] | None = None) -> Terms:
    """Terms of a whole step at once."""
    if loss.scope == "example":
        return loss.evaluate(batch)
    prepared_ES, _ = loss.prepare(loss.read(batch), loss.initial_state() if state is None else state)
    return loss.evaluate(batch, prepared_ES)


def gradients(value: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
    """Derivatives of a scalar; zeros where it does not depend on a leaf."""
    return list(torch.autograd.grad(value, list(of), materialize_grads=True, retain_graph=True))


def central_differences(value: Callable[[], Tensor], leaf: Tensor, step: float = 1e-6) -> Tensor:
    """Derivative of a scalar by each element of a float64 leaf that `value` reads anew."""
    found, flat = torch.zeros_like(leaf), leaf.data.view(-1)
    for index in range(len(flat)):
        middle, sides = flat[index].item(), []
        for moved in (middle + step, middle - step):
            flat[index] = moved
            sides.append(value().item())
        flat[index] = middle
        found.view(-1)[index] = (sides[0] - sides[1]) / (2 * step)
    return found
