"""What a learn phase came to, step by step, and where a learner stands in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loop.errors import Refused, Stopped

if TYPE_CHECKING:
    from loop.losses.parts import Kind

TERMS: dict[Kind, tuple[str, ...]] = {
    "pair": ("margin", "accuracy", "chosen_log_ratio", "rejected_log_ratio", "nll"),
    "list": ("accuracy",),
    "single": ("chosen_log_ratio", "nll"),
}
"""What a loss of each kind tells of an example besides its value (`loop.losses.Terms`)."""

_SHOWN = 5  # example ids spelled out in one sentence


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What a learn phase did, the same on every rank.

    `steps` were applied, `skipped_steps` were not because a loss or gradient was not finite (`bad_examples` names
    whose). `loss` and `terms` (by the names in `TERMS` of the loss's kind) are means over applied steps' examples,
    `grad_norm` (before clipping) over applied steps; `lr` is that of the last step. `tokens` counts prompt and response
    tokens passed through the model for a gradient, without padding. Log-ratios are in nats. `paused`: the phase was
    left at a checkpoint inside it because someone asked; the report covers the steps made so far. `outcomes` are its
    steps one by one, for whoever draws them.
    """

    steps: int = 0
    skipped_steps: int = 0
    examples: int = 0
    bad_examples: tuple[str, ...] = ()
    loss: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)
    grad_norm: float = 0.0
    lr: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    paused: bool = False
    outcomes: tuple[StepOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One optimiser step over all ranks: how many examples it had, sums over them (loss, then its kind's
    `TERMS`), tokens, the gradient's norm (None: the step was skipped), whose loss was bad, and the seconds it took."""

    examples: int
    sums: tuple[float, ...]
    tokens: int
    norm: float | None
    bad_examples: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a learner stands: in the learn phase of `round` (0: before the first), after `position` of `steps` steps.

    `lesson` is a digest of what the phase learns from. `report` is there once the phase is complete. `bad_in_a_row`
    counts skipped steps over rounds. `loss_state` is what the loss remembers from one applied step to the next (scope
    `batch` only; empty: its initial state); like the optimiser's moments it is carried from round to round.
    """

    round: int = 0
    lesson: str = ""
    steps: int = 0
    outcomes: tuple[StepOutcome, ...] = ()
    bad_in_a_row: int = 0
    report: LearnReport | None = None
    loss_state: dict[str, float] = field(default_factory=dict)

    @property
    def position(self) -> int:
        """Steps made, which is the index of the next one in the batch plan."""
        return len(self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether nothing is left of the phase."""
        return self.report is not None or self.round == 0


@dataclass(frozen=True, slots=True)
class Restored:
    """What learners took up: the state of `round`'s learn phase (0: the initial policy), at its end when `complete`,
    otherwise inside it. `notices`: a sentence for each damaged checkpoint that was passed over."""

    round: int
    complete: bool
    notices: tuple[str, ...]


def begun(held: Progress, round: int, lesson: str, steps: int) -> Progress:
    """Where a learner that stands at `held` takes up the learn phase of `round` with these `steps`: at its start, or
    where it stands inside it.

    Raises: Refused when it stands inside another round, at a later one, or learnt from something else in this one.
    """
    if held.round == round:
        if held.lesson != lesson:
            raise Refused(
                f"the learners stand at step {held.position} of round {round}, but learnt from other examples than "
                "they are given now"
            )
        return held
    if not held.complete:
        raise Refused(
            f"the learners stand inside round {held.round} (step {held.position} of {held.steps}): "
            f"it must be finished before round {round} is learnt"
        )
    if held.round > round:
        raise Refused(f"the learners have learnt round {held.round}: round {round} cannot be learnt on top of it")
    return Progress(round, lesson, steps, bad_in_a_row=held.bad_in_a_row, loss_state=held.loss_state)


def after(progress: Progress, outcome: StepOutcome, loss_state: Mapping[str, float]) -> Progress:
    """Where a learner stands after one more step, and what the loss remembers of it; a skipped one leaves no trace."""
    outcomes = (*progress.outcomes, outcome)
    if outcome.norm is None:
        return replace(progress, outcomes=outcomes, bad_in_a_row=progress.bad_in_a_row + 1)
    return replace(progress, outcomes=outcomes, bad_in_a_row=0, loss_state=dict(loss_state))


def require_steps(progress: Progress, max_bad_steps: int) -> None:
    """Raises: Stopped when `max_bad_steps` steps in a row were skipped."""
    if progress.bad_in_a_row < max_bad_steps:
        return
    names = progress.outcomes[-1].bad_examples
    raise Stopped(
        f"{progress.bad_in_a_row} optimiser steps in a row had a loss or gradient that is not finite; "
        f"the last one's examples are {', '.join(names[:_SHOWN])}{' and more' if len(names) > _SHOWN else ''}"
    )


def report_of(outcomes: Sequence[StepOutcome], kind: Kind, lr: float, paused: bool = False) -> LearnReport:
    """The report of a phase from its steps, with a loss of that kind; `lr` is that of the last one."""
    applied = [(outcome, outcome.norm) for outcome in outcomes if outcome.norm is not None]
    examples = sum(outcome.examples for outcome, _ in applied)
    means = [sum(column) / examples for column in zip(*(outcome.sums for outcome, _ in applied), strict=True)]
    return LearnReport(
        steps=len(applied),
        skipped_steps=len(outcomes) - len(applied),
        examples=examples,
        bad_examples=tuple(dict.fromkeys(name for outcome in outcomes for name in outcome.bad_examples)),
        loss=means[0] if means else 0.0,
        terms=dict(zip(TERMS[kind], means[1:], strict=False)),
        grad_norm=sum(norm for _, norm in applied) / len(applied) if applied else 0.0,
        lr=lr,
        tokens=sum(outcome.tokens for outcome in outcomes),
        seconds=sum(outcome.seconds for outcome in outcomes),
        paused=paused,
    )
