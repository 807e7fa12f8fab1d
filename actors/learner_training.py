"""One optimiser step on examples: what the whole step tells the loss, micro-batches, global normalisation, and steps
that are skipped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from actors.learner_engine import Engine, device, from_all_ranks, sum_over_ranks
from actors.learner_lesson import Work
from loop.batches import FlatBatch, Rendering, Step, batch_of, example_batch, padded, to_device
from loop.learning import TERMS, StepOutcome
from loop.losses import Batch, Loss

TWO_TOKENS = Rendering(
    torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 2, dtype=torch.bool), torch.tensor([[False, True]])
)
"""What a rank without examples passes through the model."""


class Trainer:
    """Makes optimiser steps on one rank; all ranks make them together."""

    def __init__(self, engine: Engine, loss: Loss, rank: int, world: int) -> None:
        self.engine = engine
        self.loss = loss
        self.rank = rank
        self.world = world
        self.terms = TERMS[loss.row.kind]

    def step(
        self, work: Work, at: int, state: Mapping[str, float], asked: Callable[[], bool]
    ) -> tuple[StepOutcome, Mapping[str, float], bool]:
        """Step `at` of the plan, and the loss's state after it; before it, it is `state` (empty: the initial
        one). Also whether any rank was `asked` to pause before its losses were summed: all ranks learn of it in the
        same step."""
        started = time.monotonic()
        step, examples = work.steps[at], work.examples
        micro_batches = step.ranks[self.rank]
        constants, state = self._prepare(work, step, state)
        sums = torch.zeros(2 + len(self.terms), dtype=torch.float64, device=device())
        bad: list[str] = []
        for number, micro_batch in enumerate(micro_batches, 1):
            batch = example_batch([examples[index] for index in micro_batch], work.sequences)
            prepared_NS = (
                torch.stack([constants[index] for index in micro_batch]) if constants and micro_batch else None
            )
            loss, sums_here, bad_here = self._pass(batch, prepared_NS, self.world / len(step.examples))
            self.engine.backward(loss, last=number == len(micro_batches))
            sums += sums_here
            bad += bad_here
        pauses, tokens, *totals = sum_over_ranks(torch.cat([sums.new_tensor([asked()]), sums])).tolist()
        norm = self.engine.step(work.rates[at])
        if norm is None:
            # A gradient that is not finite although every loss was belongs to no example in particular.
            bad = [name for names in from_all_ranks(bad) for name in names]
            bad = bad or [examples[index].example_id for index in step.examples]
        seconds = time.monotonic() - started
        outcome = StepOutcome(len(step.examples), tuple(totals), int(tokens), norm, tuple(bad), seconds)
        return outcome, state, pauses > 0

    def any_rank(self, here: bool) -> bool:
        """Whether it is so on any rank."""
        return bool(sum_over_ranks(torch.tensor(float(here), device=device())) > 0)

    def _prepare(
        self, work: Work, step: Step, state: Mapping[str, float]
    ) -> tuple[dict[int, Tensor], Mapping[str, float]]:
        """For a loss whose scope is the batch: the constants `[S]` of each example of the step, by index, and the next
        state. The whole step is passed through the model for it, without gradients, and every rank reads in the step's
        order what all of them read."""
        if self.loss.scope == "example":
            return {}, state
        here: dict[int, list[float]] = {}
        with torch.no_grad():
            for micro_batch in step.ranks[self.rank]:
                batch = example_batch([work.examples[index] for index in micro_batch], work.sequences)
                if not micro_batch:
                    self.engine.forward(*TWO_TOKENS)
                else:
                    here.update(zip(micro_batch, self.loss.read(self._seen(batch)).tolist(), strict=True))
        readings = {index: row for rank in from_all_ranks(here) for index, row in rank.items()}
        readings_ER = torch.tensor([readings[index] for index in step.examples], dtype=torch.float64)
        prepared_ES, following = self.loss.prepare(readings_ER, state or self.loss.initial_state())
        return dict(zip(step.examples, prepared_ES, strict=True)), following

    def _pass(self, batch: FlatBatch, prepared_NS: Tensor | None, scale: float) -> tuple[Tensor, Tensor, list[str]]:
        """Scaled loss of a micro-batch, sums (tokens, loss, its kind's `TERMS`) over its examples, and ids of examples
        with a bad loss.

        DeepSpeed averages gradients over ranks, hence the scale world / examples of the step. A pass without examples
        still runs the model, at a loss of zero. A loss that is not finite makes every gradient so: then the step is
        skipped, whatever the kernel's slope is there.
        """
        if not batch.example_ids:
            nothing = torch.zeros(2 + len(self.terms), dtype=torch.float64, device=device())
            return self.engine.forward(*TWO_TOKENS).sum() * 0.0, nothing, []
        seen = self._seen(batch)
        terms = self.loss.evaluate(seen, None if prepared_NS is None else prepared_NS.to(device()))
        loss = terms.loss_N.sum() * scale
        bad_N = ~torch.isfinite(terms.loss_N.detach())
        if bad_N.any():
            loss = loss * torch.nan
        parts = [terms.loss_N.detach(), *(terms.named[name] for name in self.terms)]
        tokens = torch.tensor([len(batch.tokens_T)], dtype=torch.float64, device=device())
        sums = torch.cat([tokens, torch.stack([part.double().sum() for part in parts])])
        return loss, sums, [batch.example_ids[index] for index in bad_N.nonzero().squeeze(-1).tolist()]

    def _seen(self, batch: FlatBatch) -> Batch:
        """A micro-batch under the present weights, as the loss reads it."""
        needs = self.loss.needs
        output = self.engine.forward(*padded(batch), alignment=needs.alignment)
        logprobs_R, alignment_R = output.unbind(-1) if needs.alignment else (output, None)
        flat = to_device(batch, device())
        return batch_of(flat, logprobs_R, self.loss.row.kind, needs, alignment_R=alignment_R)
