"""One optimiser step on examples: micro-batches, global normalisation, and steps that are skipped."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from actors.learner_engine import Engine, device, from_all_ranks, sum_over_ranks
from actors.learner_lesson import Lesson
from loop.batches import FlatBatch, padded, pair_batch, pairs_of, to_device
from loop.learning import TERMS, StepOutcome
from loop.losses import Loss


class Trainer:
    """Makes optimiser steps on one rank; all ranks make them together."""

    def __init__(self, engine: Engine, loss: Loss, rank: int, world: int) -> None:
        self.engine = engine
        self.loss = loss
        self.rank = rank
        self.world = world

    def step(self, lesson: Lesson, at: int, asked: Callable[[], bool]) -> tuple[StepOutcome, bool]:
        """Step `at` of a lesson's plan, and whether any rank was `asked` to pause before its losses were summed: all
        ranks learn of it in the same step."""
        started = time.monotonic()
        step, examples = lesson.steps[at], lesson.examples
        micro_batches = step.ranks[self.rank]
        sums = torch.zeros(2 + len(TERMS), dtype=torch.float64, device=device())
        bad: list[str] = []
        for number, micro_batch in enumerate(micro_batches, 1):
            batch = pair_batch([examples[index] for index in micro_batch], lesson.sequences)
            loss, sums_here, bad_here = self._pass(batch, self.world / len(step.examples))
            self.engine.backward(loss, last=number == len(micro_batches))
            sums += sums_here
            bad += bad_here
        pauses, tokens, *totals = sum_over_ranks(torch.cat([sums.new_tensor([asked()]), sums])).tolist()
        norm = self.engine.step(lesson.rates[at])
        if norm is None:
            # A gradient that is not finite although every loss was belongs to no example in particular.
            bad = [name for names in from_all_ranks(bad) for name in names]
            bad = bad or [examples[index].example_id for index in step.examples]
        seconds = time.monotonic() - started
        outcome = StepOutcome(len(step.examples), tuple(totals), int(tokens), norm, tuple(bad), seconds)
        return outcome, pauses > 0

    def any_rank(self, here: bool) -> bool:
        """Whether it is so on any rank."""
        return bool(sum_over_ranks(torch.tensor(float(here), device=device())) > 0)

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
