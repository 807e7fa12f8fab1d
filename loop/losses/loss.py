"""A row of the table bound to its options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from loop.errors import Refused, nearest
from loop.losses.add_ons import ADD_ONS
from loop.losses.batch import Batch, ListBatch, PairBatch, Terms
from loop.losses.parts import NOT_NEGATIVE, POSITIVE, Domains, Needs, Options, Row, given
from loop.losses.table import ROWS

Scope = Literal["example", "batch"]

COMMON: Domains = {
    **dict.fromkeys(("beta", "scale", "tau", "eta"), POSITIVE),
    **dict.fromkeys(("gamma", *ADD_ONS), NOT_NEGATIVE),
}
"""Of options that mean the same in every loss; a row's own domain goes before."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A named loss with its options."""

    row: Row
    options: Options

    @property
    def needs(self) -> Needs:
        """What the loss must be given, its add-ons included."""
        needs = self.row.needs
        for name, part in ADD_ONS.items():
            if self.options.get(name):
                needs |= part.needs
        return needs

    @property
    def scope(self) -> Scope:
        """`example`: an example's loss depends on nothing else; `batch`: it needs statistics of the whole optimiser
        step."""
        return "batch" if self.row.statistics else "example"

    def initial_state(self) -> dict[str, float]:
        """What a batch-scope loss remembers from step to step; empty for the others. It belongs into checkpoints."""
        return dict(self.row.statistics.state) if self.row.statistics else {}

    def read(self, batch: Batch) -> Tensor:
        """Readings `[N, R]` of a micro-batch for `prepare`, without gradients."""
        assert self.row.statistics is not None, "only for scope batch"
        return self.row.statistics.read(batch, self.options).detach()

    def prepare(self, readings_ER: Tensor, state: Mapping[str, float]) -> tuple[Tensor, dict[str, float]]:
        """Constants of each example of the step `[E, S]`, from the readings of all of them, and the next state."""
        assert self.row.statistics is not None, "only for scope batch"
        return self.row.statistics.prepare(readings_ER, state, self.options)

    def evaluate(self, batch: Batch, prepared_NS: Tensor | None = None) -> Terms:
        """Loss of each example, multiplied by its weight, and the terms that metrics are made of. All `[N]`.

        `prepared_NS` are the rows of `prepare` for these examples (scope `batch`).
        """
        loss_N = self.row.formula(batch, self.options, prepared_NS)
        if isinstance(batch, PairBatch):
            for name, part in ADD_ONS.items():
                if weight := self.options.get(name):
                    loss_N = loss_N + weight * part.of(batch, self.options)
        return Terms(batch.weight * loss_N, self._metrics(batch))

    def _metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Of pairs: margin and accuracy of the score that the loss is built on, each side's log-ratio, the chosen
        answer's mean NLL. Of lists: the share of ordered pairs in the labels' order. Of single responses: log-ratio and
        mean NLL."""
        if isinstance(batch, PairBatch):
            assert self.row.score is not None, "every pairwise row has a score"
            score_N = self.row.score.of(batch, self.options).detach()
            return {
                "margin": score_N,
                "accuracy": (score_N > 0).to(score_N.dtype),
                "chosen_log_ratio": batch.chosen.ratio.detach(),
                "rejected_log_ratio": batch.rejected.ratio.detach(),
                "nll": -batch.chosen.mean.detach(),
            }
        if isinstance(batch, ListBatch):
            return {"accuracy": _ordered(batch)}
        return {"chosen_log_ratio": batch.response.ratio.detach(), "nll": -batch.response.mean.detach()}


def named_loss(name: str, options: Mapping[str, float] | None = None) -> Loss:
    """The loss of that name, with these options in place of its defaults.

    Raises `Refused` for a name that the table does not have, for an option that the loss does not have, and for values
    with which the loss is not defined.
    """
    if name not in ROWS:
        raise Refused(f"there is no loss named {name!r}{nearest(name, ROWS)}; docs/methods.md lists them")
    row, own = ROWS[name], dict(options or {})
    if unknown := sorted(set(own) - set(row.options)):
        raise Refused(f"loss {name} has no option {unknown[0]!r}; it has {', '.join(sorted(row.options)) or 'none'}")
    bound, domains = {**row.options, **own}, {**COMMON, **row.domains}
    for option, value in bound.items():
        if not math.isfinite(value):
            raise Refused(f"loss {name}: {option}={value} must be finite")
        if option in domains and not domains[option].holds(value):
            raise Refused(f"loss {name}: {option}={value} {domains[option].sentence}")
    return Loss(row, bound)


def _ordered(lists: ListBatch) -> Tensor:
    items, mask_NK, label_NK = lists.items, lists.mask, given(lists.items.label)
    above_NKK = (label_NK[:, :, None] > label_NK[:, None, :]) & mask_NK[:, :, None] & mask_NK[:, None, :]
    right_NKK = items.ratio.detach()[:, :, None] > items.ratio.detach()[:, None, :]
    return (above_NKK & right_NKK).sum((1, 2)) / above_NKK.sum((1, 2)).clamp(min=1)
