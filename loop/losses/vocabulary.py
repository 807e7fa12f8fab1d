"""Token quantities that need whole next-token distributions: from logits `[T, V]` of a response's learnt tokens to
`[T]`, float32 or wider whatever the logits are."""

from __future__ import annotations

import torch
from torch import Tensor


def kl_to(anchor_logits_TV: Tensor, logits_TV: Tensor) -> Tensor:
    """KL(anchor || policy) of each token in nats, `[T]`; the anchor comes first (token-level DPO, arXiv:2404.11999)."""
    anchor_TV, policy_TV = _log_probs(anchor_logits_TV.detach()), _log_probs(logits_TV)
    # A token that the anchor rules out costs nothing, also where the policy rules it out too.
    terms_TV = anchor_TV.exp() * torch.where(anchor_TV > -torch.inf, anchor_TV - policy_TV, 0)
    return terms_TV.sum(-1)


def alignment(logits_TV: Tensor, tokens_T: Tensor) -> Tensor:
    """log p(y_t) - log sum_v p(v)^2 of each token, `[T]`, without gradient: how likely the token is beside an average
    draw (WPO's weight alignment, arXiv:2406.11827)."""
    log_p_TV = _log_probs(logits_TV.detach())
    return log_p_TV.gather(-1, tokens_T[:, None])[:, 0] - (2 * log_p_TV).logsumexp(-1)


def sparse_score(ratio_T: Tensor, kl_T: Tensor, ratio_mask_T: Tensor, kl_mask_T: Tensor) -> Tensor:
    """One side's score in sparse token-level PO, a scalar: log-ratios and KL(anchor || policy) of its tokens, each
    under a non-negative mask (SparsePO, arXiv:2410.05102, without the masks' L1 penalty).

    The pair's score is the chosen's less the rejected's; with all masks 1 it is that of `tdpo1`.
    """
    return (ratio_mask_T * ratio_T + kl_mask_T * kl_T).sum()


def _log_probs(logits_TV: Tensor) -> Tensor:
    return logits_TV.to(torch.promote_types(logits_TV.dtype, torch.float32)).log_softmax(-1)
