"""Small examples with known losses, as builders: every number of a loss's test stands on one of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loop.losses import ListBatch, Loss, PairBatch, Side

Numbers = Mapping[str, float]

# One pair: log-ratios +2 and -4, margin 6; per token the rejected answer is the likelier one, which catches a mean for
# a sum.
P: Numbers = {"lp_w": -48.0, "rf_w": -50.0, "n_w": 40.0, "lp_l": -64.0, "rf_l": -60.0, "n_l": 60.0}
# A pair with log-ratios +3 and -14, margin 17; with P it makes the batch B.
Q: Numbers = {"lp_w": -30.0, "rf_w": -33.0, "n_w": 40.0, "lp_l": -50.0, "rf_l": -36.0, "n_l": 60.0}
B: tuple[Numbers, ...] = (P, Q)
# A pair with log-ratios +2 and -2, margin 4.
F1: Numbers = {"lp_w": -8.0, "rf_w": -10.0, "n_w": 20.0, "lp_l": -11.0, "rf_l": -9.0, "n_l": 20.0}


def pair_batch(
    *rows: Numbers,
    dtype: torch.dtype = torch.float64,
    others: Mapping[str, Numbers] | None = None,
    **columns: float,
) -> PairBatch:
    """Pairs from rows such as P, one number per field: a field of a side with `_w` or `_l` (`lp_w`, `label_l`), or
    `strength`, `margin`, `weight`, `gain` of the pair.

    `columns` hold for every row that does not say otherwise, as do `others`, fields of a side by role. The log-probs of
    all sides are leaves that take gradients.
    """
    filled = [{"strength": 1.0, "margin": 0.0, "weight": 1.0, **columns, **row} for row in rows]
    tensors = {key: torch.tensor([row[key] for row in filled], dtype=dtype) for key in filled[0]}
    further = {
        role: _side({field: torch.full((len(rows),), value, dtype=dtype) for field, value in fields.items()})
        for role, fields in (others or {}).items()
    }
    return PairBatch(
        chosen=_side({key[:-2]: one for key, one in tensors.items() if key.endswith("_w")}),
        rejected=_side({key[:-2]: one for key, one in tensors.items() if key.endswith("_l")}),
        strength=tensors["strength"],
        margin=tensors["margin"],
        weight=tensors["weight"],
        gain=tensors.get("gain"),
        others=further,
    )


def _side(fields: dict[str, Tensor]) -> Side:
    """`rf` may be left out (0), `n` too (1)."""
    lp = fields["lp"].requires_grad_()
    still = torch.zeros_like(lp, requires_grad=False)
    made: dict[str, Any] = {"rf": still, "n": still + 1, **fields}
    return Side(**made)


def list_k(beta: float = 1.0, dtype: torch.dtype = torch.float64) -> ListBatch:
    """Fixture K: one list of three whose scores beta * log-ratio are (.6, -.2, .1), labelled (.9, .5, .1)."""
    lp_NK = (torch.tensor([[0.6, -0.2, 0.1]], dtype=dtype) / beta).requires_grad_()
    zero_NK = torch.zeros(1, 3, dtype=dtype)
    label_NK = torch.tensor([[0.9, 0.5, 0.1]], dtype=dtype)
    items = Side(lp=lp_NK, rf=zero_NK, n=zero_NK + 1, label=label_NK)
    return ListBatch(items=items, mask=zero_NK == 0, weight=torch.ones(1, dtype=dtype))


@dataclass(frozen=True, slots=True)
class Distributions:
    """A response with whole next-token distributions, as log-probs `[T, V]` (which are logits too); `policy_TV` is a
    leaf that takes gradients."""

    tokens_T: Tensor
    policy_TV: Tensor
    anchor_TV: Tensor

    def side(self) -> Side:
        """Sums over the response's tokens, `[1]`, differentiable through `policy_TV`."""
        index_T1 = self.tokens_T[:, None]
        lp = self.policy_TV.log_softmax(-1).gather(-1, index_T1).sum().reshape(1)
        rf = self.anchor_TV.log_softmax(-1).gather(-1, index_T1).sum().reshape(1)
        return Side(lp=lp, rf=rf, n=torch.full_like(rf, len(self.tokens_T)))


def tokens_t(dtype: torch.dtype = torch.float64) -> tuple[Distributions, Distributions]:
    """Fixture T: chosen and rejected response of two tokens over a vocabulary of three."""

    def of(tokens: list[int], anchor: list[list[float]], policy: list[list[float]]) -> Distributions:
        policy_TV = torch.tensor(policy, dtype=dtype).log().requires_grad_()
        return Distributions(torch.tensor(tokens), policy_TV, torch.tensor(anchor, dtype=dtype).log())

    chosen = of([0, 1], [[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]], [[0.6, 0.25, 0.15], [0.5, 0.4, 0.1]])
    rejected = of([1, 2], [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]], [[0.6, 0.25, 0.15], [0.3, 0.5, 0.2]])
    return chosen, rejected


def value_and_gradients(loss: Loss, batch: PairBatch) -> tuple[float, float, float]:
    """The sum of the pairs' losses and its derivatives by the chosen and the rejected log-probs, summed too."""
    value = loss.evaluate(batch).loss_N.sum()
    gradients = torch.autograd.grad(value, [batch.chosen.lp, batch.rejected.lp], materialize_grads=True)
    return value.item(), *(one.sum().item() for one in gradients)
