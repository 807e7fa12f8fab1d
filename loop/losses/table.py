"""The table of named losses, and a row bound to its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from loop.errors import Refused
from loop.losses.kernels import logistic
from loop.losses.pairs import PairBatch, Terms
from loop.losses.scores import LOG_RATIO_MARGIN, ONE, STRENGTH, Score, Target

Scope = Literal["example", "batch"]


@dataclass(frozen=True, slots=True)
class Row:
    """A named loss: `kernel(beta * score, target)`. `source` is where the formula was published."""

    name: str
    score: Score
    kernel: Callable[[Tensor, Tensor], Tensor]
    target: Target
    source: str
    scope: Scope = "example"


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row("dpo", LOG_RATIO_MARGIN, logistic, ONE, "Rafailov et al. 2023, arXiv:2305.18290, eq. 7"),
        Row(
            "spce",
            LOG_RATIO_MARGIN,
            logistic,
            STRENGTH,
            "Soft-preference cross-entropy, Zhai et al. 2024, arXiv:2405.14103",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Loss:
    """A row with its settings: `beta` multiplies the score, `nll` weighs the chosen answer's mean negative
    log-likelihood."""

    row: Row
    beta: float
    nll: float

    @property
    def anchors(self) -> int:
        """How many frozen policies' log-probs the loss needs."""
        return self.row.score.anchors

    @property
    def strengths(self) -> bool:
        """Whether the loss reads the examples' strengths; if not, a tie is no example for it."""
        return self.row.target.strengths

    @property
    def scope(self) -> Scope:
        """`example`: an example's loss depends on nothing else; `batch`: it needs statistics of the whole optimiser
        step."""
        return self.row.scope

    def evaluate(self, pairs: PairBatch) -> Terms:
        """Loss of each example, multiplied by its weight, and the terms that metrics are made of. All `[N]`."""
        loss_N = self.row.kernel(self.beta * self.row.score.of(pairs), self.row.target.of(pairs))
        if self.nll:
            loss_N = loss_N + self.nll * pairs.nll
        margin_N = (pairs.ratio_w - pairs.ratio_l).detach()
        named = {
            "margin": margin_N,
            "accuracy": (margin_N > 0).to(margin_N.dtype),
            "chosen_log_ratio": pairs.ratio_w.detach(),
            "rejected_log_ratio": pairs.ratio_l.detach(),
            "nll": pairs.nll.detach(),
        }
        return Terms(pairs.weight * loss_N, named)


def named_loss(name: str, beta: float, nll: float = 0.0) -> Loss:
    """The loss of that name with these settings. Raises `Refused` for a name that the table does not have."""
    if name not in ROWS:
        raise Refused(f"there is no loss named {name!r}; there are {', '.join(sorted(ROWS))}")
    return Loss(ROWS[name], beta, nll)
