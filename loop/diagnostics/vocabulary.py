"""What next-token distributions look like at their top, from logits."""

from __future__ import annotations

import torch
from torch import Tensor

TOP = 10
"""Tokens that count as the top (arXiv:2410.11677 takes ten)."""


def top_entropy_and_mass(logits_RV: Tensor, top: int = TOP) -> tuple[Tensor, Tensor]:
    """Entropy (nats) of each position's distribution over its most likely tokens, renormalised, and the probability
    that these have together, both `[R]`, float32 or wider."""
    logits_RV = logits_RV.to(torch.promote_types(logits_RV.dtype, torch.float32))
    top_RK = logits_RV.topk(min(top, logits_RV.shape[-1])).values
    log_p_RK = top_RK.log_softmax(-1)
    return -(log_p_RK.exp() * log_p_RK).sum(-1), (top_RK.logsumexp(-1) - logits_RV.logsumexp(-1)).exp()
