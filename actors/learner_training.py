"""Training on examples: micro-batches, global normalisation, steps that are skipped, and what is reported."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actors.learner_engine import Engine, all_ranks, device, sum_over_ranks
from loop.batches import FlatBatch, Step, TokenSequence, padded, pair_batch, pairs_of, to_device
from loop.errors import Stopped
from loop.learning import LearnReport
from loop.losses import Loss
from loop.records import Example

TERMS = ("margin", "accuracy", "chosen_log_ratio", "rejected_log_ratio", "nll")
_SHOWN = 5  # example ids spelled out in one sentence


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One step: sums over its examples on all ranks (loss, then TERMS), tokens, gradient norm or None, and whose loss
    was bad."""

    sums: tuple[float, ...]
    tokens: int
    norm: float | None
    bad_examples: tuple[str, ...]


class Trainer:
    """Runs optimiser steps on one rank. `bad_in_a_row` counts skipped steps over rounds."""

    def __init__(self, engine: Engine, loss: Loss, rank: int, world: int, max_bad_steps: int) -> None:
        self.engine = engine
        self.loss = loss
        self.rank = rank
        self.world = world
        self.max_bad_steps = max_bad_steps
        self.bad_in_a_row = 0

    def train(
        self,
        steps: Sequence[Step],
        rates: Sequence[float],
        examples: Sequence[Example],
        sequences: Mapping[str, TokenSequence],
    ) -> LearnReport:
        """All steps of a plan, each with its learning rate. Raises `Stopped` after `max_bad_steps` skipped ones in a
        row."""
        started = time.monotonic()
        outcomes = []
        for step, rate in zip(steps, rates, strict=True):
            outcome = self._step(step, rate, examples, sequences)
            outcomes.append(outcome)
            self.bad_in_a_row = self.bad_in_a_row + 1 if outcome.norm is None else 0
            if self.bad_in_a_row >= self.max_bad_steps:
                shown = ", ".join(outcome.bad_examples[:_SHOWN])
                raise Stopped(
                    f"{self.bad_in_a_row} optimiser steps in a row had a loss or gradient that is not finite; "
                    f"the last one's examples are {shown}{' and more' if len(outcome.bad_examples) > _SHOWN else ''}"
                )
        return _report(steps, outcomes, rates[-1], time.monotonic() - started)

    def _step(
        self, step: Step, rate: float, examples: Sequence[Example], sequences: Mapping[str, TokenSequence]
    ) -> _Outcome:
        micro_batches = step.ranks[self.rank]
        sums = torch.zeros(2 + len(TERMS), dtype=torch.float64, device=device())
        bad: list[str] = []
        for at, micro_batch in enumerate(micro_batches):
            batch = pair_batch([examples[index] for index in micro_batch], sequences)
            loss, sums_here, bad_here = self._pass(batch, self.world / len(step.examples))
            self.engine.backward(loss, last=at + 1 == len(micro_batches))
            sums += sums_here
            bad += bad_here
        tokens, *totals = sum_over_ranks(sums).tolist()
        norm = self.engine.step(rate)
        if norm is None:
            # A gradient that is not finite although every loss was belongs to no example in particular.
            bad = all_ranks(bad) or [examples[index].example_id for index in step.examples]
        return _Outcome(tuple(totals), int(tokens), norm, tuple(bad))

    def _pass(self, batch: FlatBatch, scale: float) -> tuple[Tensor, Tensor, list[str]]:
        """Scaled loss of a micro-batch, sums (tokens, loss, TERMS) over its examples, and ids of examples with a bad
        loss.

        DeepSpeed averages gradients over ranks, hence the scale world / examples of the step. A pass without examples
        still runs the model, at a loss of zero. A loss that is not finite makes every gradient so: then the step is
        skipped, whatever the kernel's slope is there.
        """
        if not batch.example_ids:
            ids_BL = torch.zeros(1, 2, dtype=torch.int64)
            response_BL = torch.tensor([[False, True]])
            nothing = torch.zeros(2 + len(TERMS), dtype=torch.float64, device=device())
            return self.engine.forward(ids_BL, torch.ones_like(response_BL), response_BL).sum() * 0.0, nothing, []
        logprobs_R = self.engine.forward(*padded(batch))
        batch = to_device(batch, device())
        terms = self.loss.evaluate(pairs_of(batch, logprobs_R))
        loss = terms.loss_N.sum() * scale
        bad_N = ~torch.isfinite(terms.loss_N.detach())
        if bad_N.any():
            loss = loss * torch.nan
        parts = [terms.loss_N.detach(), *(terms.named[name] for name in TERMS)]
        tokens = torch.tensor([len(batch.tokens_T)], dtype=torch.float64, device=device())
        sums = torch.cat([tokens, torch.stack([part.double().sum() for part in parts])])
        return loss, sums, [batch.example_ids[index] for index in bad_N.nonzero().squeeze(-1).tolist()]


def _report(steps: Sequence[Step], outcomes: Sequence[_Outcome], lr: float, seconds: float) -> LearnReport:
    applied = [
        (step, outcome, outcome.norm) for step, outcome in zip(steps, outcomes, strict=True) if outcome.norm is not None
    ]
    examples = sum(len(step.examples) for step, _, _ in applied)
    means = [sum(column) / examples for column in zip(*(outcome.sums for _, outcome, _ in applied), strict=True)]
    return LearnReport(
        steps=len(applied),
        skipped_steps=len(outcomes) - len(applied),
        examples=examples,
        bad_examples=tuple(dict.fromkeys(name for outcome in outcomes for name in outcome.bad_examples)),
        loss=means[0] if means else 0.0,
        terms=dict(zip(TERMS, means[1:], strict=False)),
        grad_norm=sum(norm for _, _, norm in applied) / len(applied) if applied else 0.0,
        lr=lr,
        tokens=sum(outcome.tokens for outcome in outcomes),
        seconds=seconds,
    )
