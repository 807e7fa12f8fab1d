"""TRL's trainers as a peer: their own loss code, run on log-probs or logits that a test hands over.

A trainer is made without a model, data or configuration: only what its loss reads is set. Rows `_S` are a step's
chosen responses, then its rejected ones; `_L` are positions of padded rows, `_T` those after the first, where a token
is predicted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from loop.losses import Loss, PairBatch, Side, SingleBatch, named_loss

V = 11


@dataclass(frozen=True)
class Step:
    """Token log-probs of the policy and the anchor, zero outside of responses, and log sum_v p(v)^2 of the policy's
    distribution at each token. `mask_SL` marks responses in rows with their prompts; `leaf` is what the policy's
    log-probs are made of, and gradients are compared by."""

    ids_SL: Tensor
    attention_SL: Tensor
    mask_SL: Tensor
    leaf: Tensor
    lp_ST: Tensor
    rf_ST: Tensor
    squared_ST: Tensor

    def sides(self) -> tuple[Side, Side]:
        """Chosen and rejected, with everything that a loss may ask for of them."""
        mask_ST = self.mask_SL[:, 1:]
        n_S = mask_ST.sum(1).to(self.lp_ST.dtype)
        shared_S = torch.minimum(*n_S.chunk(2)).repeat(2)
        common_ST = mask_ST & (mask_ST.cumsum(1) <= shared_S[:, None])
        sums = {
            "lp": self.lp_ST.sum(1),
            "rf": self.rf_ST.sum(1),
            "n": n_S,
            "common": ((self.lp_ST - self.rf_ST) * common_ST).sum(1),
            "alignment": ((self.lp_ST - self.squared_ST) * mask_ST).sum(1) / n_S,
        }
        halves = {name: value.chunk(2) for name, value in sums.items()}
        chosen, rejected = ({name: half[i] for name, half in halves.items()} for i in (0, 1))
        return Side(**chosen), Side(**rejected)

    def pairs(self, labels: tuple[float, float] | None = None) -> PairBatch:
        """The step's pairs; `labels` of all chosen and all rejected."""
        chosen, rejected = self.sides()
        one = torch.ones_like(chosen.n)
        if labels is not None:
            chosen, rejected = (
                Side(lp=side.lp, rf=side.rf, n=side.n, label=value * one)
                for side, value in zip((chosen, rejected), labels, strict=True)
            )
        return PairBatch(chosen=chosen, rejected=rejected, strength=one, margin=0 * one, weight=one)

    def singles(self, mismatched: Tensor | None = None) -> SingleBatch:
        """Every response alone, chosen ones desirable; `mismatched` are log-ratios of such responses."""
        n_S = self.mask_SL[:, 1:].sum(1).to(self.lp_ST.dtype)
        label_S = torch.ones_like(n_S)
        label_S[len(n_S) // 2 :] = 0
        others = {}
        if mismatched is not None:
            others = {"mismatched": Side(lp=mismatched, rf=torch.zeros_like(mismatched), n=n_S)}
        response = Side(lp=self.lp_ST.sum(1), rf=self.rf_ST.sum(1), n=n_S, label=label_S)
        return SingleBatch(response=response, weight=torch.ones_like(n_S), others=others)


def random_step(
    lengths: Mapping[str, list[int]] | None = None,
    dtype: torch.dtype = torch.float64,
    spread: float = 0.5,
    seed: int = 0,
) -> Step:
    """Pairs of ragged lengths (prompts, chosen and rejected responses); `spread` in nats of a token's log-ratio."""
    lengths = lengths or {"prompt": [2, 4, 1, 3, 2], "chosen": [3, 6, 1, 2, 5], "rejected": [4, 2, 3, 7, 1]}
    random = torch.Generator().manual_seed(seed)
    prompts = lengths["prompt"] * 2
    ends = [p + r for p, r in zip(prompts, lengths["chosen"] + lengths["rejected"], strict=True)]
    at_L = torch.arange(max(ends))
    attention_SL = at_L[None] < torch.tensor(ends)[:, None]
    mask_SL = attention_SL & (at_L[None] >= torch.tensor(prompts)[:, None])
    mask_ST = mask_SL[:, 1:]
    shape = mask_ST.shape
    leaf_ST = -torch.rand(shape, generator=random, dtype=dtype) * 3
    rf_ST = leaf_ST + spread * torch.randn(shape, generator=random, dtype=dtype)
    squared_ST = -torch.rand(shape, generator=random, dtype=dtype)
    return Step(
        ids_SL=torch.randint(1, V, mask_SL.shape, generator=random) * attention_SL,
        attention_SL=attention_SL.long(),
        mask_SL=mask_SL,
        leaf=leaf_ST.requires_grad_(),
        lp_ST=leaf_ST * mask_ST,
        rf_ST=(rf_ST * mask_ST).detach(),
        squared_ST=squared_ST * mask_ST,
    )


class Unlooked:
    """What an accelerator does on one process."""

    device = torch.device("cpu")

    def gather(self, value: Any) -> Any:
        return value

    gather_for_metrics = gather


def bare(trainer: type, **settings: Any) -> Any:
    """A trainer of which nothing is set but what its loss reads."""
    made = object.__new__(trainer)
    known = {
        "model": SimpleNamespace(training=False, is_gradient_checkpointing=False),
        "args": SimpleNamespace(discopop_tau=0.05, gradient_checkpointing_kwargs=None),
        "accelerator": Unlooked(),
        "aux_loss_enabled": False,
        "is_encoder_decoder": False,
        "precompute_ref_logps": False,
        "label_smoothing": 0.0,
        "pad_token_id": 0,
        "padding_value": 0,
        "_metrics": {"train": defaultdict(list), "eval": defaultdict(list)},
        "_total_train_tokens": 0,
        "_tp_size": 1,
    }
    made.__dict__.update({**known, **settings})
    return made


def forward(logprobs_ST: Tensor, squared_ST: Tensor) -> Any:
    """A model whose forward pass gives these log-probs."""
    blank = torch.zeros_like(logprobs_ST)
    outputs = SimpleNamespace(
        log_probs=logprobs_ST, log_sum_sq_probs=squared_ST, entropy=blank, mean_logits=blank, is_top1=blank > 0
    )
    return lambda **_: outputs


def trl_dpo(
    step: Step, *loss_types: str, loss_weights: list[float] | None = None, tau: float = 0.05, **settings: Any
) -> Tensor:
    """The loss of TRL's DPO trainer for a step."""
    from trl.trainer.dpo_trainer import DPOTrainer  # here, so that a test without TRL can be left out

    defaults = {
        "beta": 0.1,
        "loss_types": list(loss_types),
        "loss_weights": loss_weights or [1.0] * len(loss_types),
        "f_divergence_type": "reverse_kl",
        "f_alpha_divergence_coef": 0.5,
        "ld_alpha": None,
        "use_weighting": False,
        "ref_model": forward(step.rf_ST, step.squared_ST),
        "args": SimpleNamespace(discopop_tau=tau, gradient_checkpointing_kwargs=None),
    }
    trainer = bare(DPOTrainer, **{**defaults, **settings})
    inputs = {"input_ids": step.ids_SL, "attention_mask": step.attention_SL, "completion_mask": step.mask_SL.long()}
    loss: Tensor = trainer._compute_loss(forward(step.lp_ST, step.squared_ST), inputs, False)
    return loss


def our_loss(
    name: str, batch: PairBatch | SingleBatch, state: Mapping[str, float] | None = None, **options: float
) -> Tensor:
    """The mean of our losses over a step, its statistics prepared first where the loss has any."""
    loss = named_loss(name, options)
    return loss.evaluate(batch, prepared(loss, batch, state)).loss_N.mean()


def prepared(loss: Loss, batch: PairBatch | SingleBatch, state: Mapping[str, float] | None = None) -> Tensor | None:
    """A step's constants for a loss whose scope is the batch."""
    if loss.scope == "example":
        return None
    return loss.prepare(loss.read(batch), loss.initial_state() if state is None else state)[0]


def assert_same(ours: Tensor, theirs: Tensor, step: Step, rtol: float = 1e-6) -> None:
    """Both losses, and their derivatives by every entry of the step's leaf, agree; and there are derivatives."""
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol)
    (our_gradient,), (their_gradient,) = (
        torch.autograd.grad(loss, [step.leaf], retain_graph=True) for loss in (ours, theirs)
    )
    torch.testing.assert_close(our_gradient, their_gradient, rtol=rtol, atol=rtol)
    assert their_gradient.abs().max() > 1e-4
