"""Losses of a labelled list of K responses to one prompt: functions of scores `beta * log-ratio` and labels, `[N, K]`.

Members beyond a list's end enter neither a value nor a gradient, whatever they hold (nan too).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from loop.losses.batch import ListBatch
from loop.losses.parts import NOT_NEGATIVE, TEMPERATURE, Domains, Labels, Needs, Options, Row, given

ListFunction = Callable[[Tensor, Tensor, Tensor, Options], Tensor]
"""Loss `[N]` of scores, labels (both 0 where the mask is false) and mask, `[N, K]`."""


def _log_ratio(lists: ListBatch, options: Options) -> Tensor:
    return options["beta"] * lists.items.ratio


def list_row(
    name: str,
    source: str,
    of: ListFunction,
    labels: Labels = "score",
    score: Callable[[ListBatch, Options], Tensor] = _log_ratio,
    anchors: int = 1,
    domains: Domains | None = None,
    **options: float,
) -> Row:
    """A row of the table from a function of scores and labels."""

    def formula(lists: ListBatch, options: Options, _: Tensor | None = None) -> Tensor:
        # Chosen before any arithmetic: a product with a mask would let nan through, in the gradient too.
        scores_NK = torch.where(lists.mask, score(lists, options), 0)
        return of(scores_NK, torch.where(lists.mask, given(lists.items.label), 0), lists.mask, options)

    return Row(
        name=name,
        source=source,
        formula=formula,
        kind="list",
        needs=Needs(anchors=anchors, labels=labels),
        options={"beta": 0.1, **options},
        domains=domains or {},
    )


def log_softmax(values_NK: Tensor, mask_NK: Tensor) -> Tensor:
    """Log-softmax over a list's members, `[N, K]`; 0 for what is not a member, so that it vanishes from a sum of
    products."""
    lowest = torch.finfo(values_NK.dtype).min
    return values_NK.masked_fill(~mask_NK, lowest).log_softmax(-1).masked_fill(~mask_NK, 0)


def ranks(scores_NK: Tensor, mask_NK: Tensor) -> Tensor:
    """1 for a list's best score, 2 for the next, ...; equal scores rank in the list's order. `[N, K]`."""
    best_first_NK = scores_NK.masked_fill(~mask_NK, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    return (best_first_NK.argsort(-1) + 1).to(scores_NK.dtype)


def lambda_weighted(scores_NK: Tensor, label_NK: Tensor, mask_NK: Tensor, options: Options) -> Tensor:
    """Pairs weighted by what swapping them would change in DCG (LambdaRank); the weights carry no gradient.

    At the anchor all scores are equal: ranks are then the list's order, and the weights not all zero.
    """
    gain_NK, discount_NK = torch.exp2(label_NK) - 1, 1 / torch.log1p(ranks(scores_NK.detach(), mask_NK))
    weight_NKK = _differences(gain_NK).abs() * _differences(discount_NK).abs()
    return (weight_NKK * _above(label_NK, mask_NK) * softplus(-_differences(scores_NK))).sum((1, 2))


def plackett_luce(scores_NK: Tensor, label_NK: Tensor, mask_NK: Tensor, options: Options) -> Tensor:
    """-sum_i log P(i comes first among itself and the members labelled lower): Plackett-Luce's likelihood of the order.

    A tie is dropped: its members are not compared with each other, as a tied pair is no example. A list of equal labels
    has no loss and no gradient.
    """
    itself_KK = torch.eye(scores_NK.shape[1], dtype=torch.bool, device=scores_NK.device)
    field_NKK = _above(label_NK, mask_NK) | itself_KK
    first_NK = scores_NK - scores_NK[:, None, :].masked_fill(~field_NKK, -torch.inf).logsumexp(-1)
    return -torch.where(mask_NK, first_NK, 0).sum(-1)


def cross_entropy(temperature: str) -> ListFunction:
    """CE(softmax(label / temperature), softmax(score)), the temperature an option of that name."""

    def of(scores_NK: Tensor, label_NK: Tensor, mask_NK: Tensor, options: Options) -> Tensor:
        target_NK = log_softmax(label_NK / options[temperature], mask_NK).exp()
        return -(target_NK * log_softmax(scores_NK, mask_NK)).sum(-1)

    return of


def reverse_kl(scores_NK: Tensor, label_NK: Tensor, mask_NK: Tensor, options: Options) -> Tensor:
    """KL(softmax(score) || softmax(label / beta_r)): seeks a mode where cross-entropy covers them all."""
    log_q_NK = log_softmax(scores_NK, mask_NK)
    return (log_q_NK.exp() * (log_q_NK - log_softmax(label_NK / options["beta_r"], mask_NK))).sum(-1)


def noise_contrastive(scores_NK: Tensor, label_NK: Tensor, mask_NK: Tensor, options: Options) -> Tensor:
    """Each response as data with its share of softmax(label / alpha), and as noise with share 1 / K: the scores are
    held absolutely, not only in relation to each other."""
    data_NK = log_softmax(label_NK / options["alpha"], mask_NK).exp()
    terms_NK = data_NK * softplus(-scores_NK) + softplus(scores_NK) / _count(mask_NK)
    return (mask_NK * terms_NK).sum(-1)


def in_context_ranking(scores_NK: Tensor, label_NK: Tensor, mask_NK: Tensor, options: Options) -> Tensor:
    """DCG of graded labels at the list's own positions, each member against the mean (not the sum) of the others'
    exponentials."""
    others_NKK = mask_NK[:, None, :] & ~torch.eye(mask_NK.shape[1], dtype=torch.bool, device=mask_NK.device)
    log_sum_NK = scores_NK[:, None, :].masked_fill(~others_NKK, torch.finfo(scores_NK.dtype).min).logsumexp(-1)
    count_N1, position_NK = (whole.to(scores_NK.dtype) for whole in (_count(mask_NK), mask_NK.cumsum(-1)))
    others_NK = log_sum_NK - (count_N1 - 1).clamp(min=1).log()
    weight_NK = (torch.exp2(label_NK) - 1) / torch.log2(1 + position_NK.clamp(min=1))
    return (mask_NK * weight_NK * softplus(others_NK - scores_NK)).sum(-1) / count_N1[:, 0]


def distributional(scores_NK: Tensor, label_NK: Tensor, mask_NK: Tensor, options: Options) -> Tensor:
    """The mean score of the samples (label 1) against that of the rejected response (label 0)."""

    def mean(of_NK: Tensor) -> Tensor:
        return (of_NK * scores_NK).sum(-1) / _count(of_NK)[:, 0]

    sample_NK = label_NK > 0.5
    return softplus(mean(mask_NK & ~sample_NK) - mean(mask_NK & sample_NK))


def _against_two_anchors(lists: ListBatch, options: Options) -> Tensor:
    items = lists.items
    rejected_NK = options["alpha"] * (items.lp - given(items.second))
    return torch.where(given(items.label) > 0.5, options["beta"] * items.ratio, rejected_NK)


def _differences(values_NK: Tensor) -> Tensor:
    return values_NK[:, :, None] - values_NK[:, None, :]


def _above(label_NK: Tensor, mask_NK: Tensor) -> Tensor:
    """Whether i is labelled above j, `[N, K, K]`."""
    return (_differences(label_NK) > 0) & mask_NK[:, :, None] & mask_NK[:, None, :]


def _count(mask_NK: Tensor) -> Tensor:
    return mask_NK.sum(-1, keepdim=True).clamp(min=1)


LISTS: tuple[Row, ...] = (
    list_row("lipo", "LiPO-lambda, Liu et al. 2024, arXiv:2402.01878", lambda_weighted, "relevance", beta=0.05),
    list_row("list_mle", "Xia et al. 2008; DPO with Plackett-Luce, arXiv:2305.18290, app. A.3", plackett_luce),
    list_row(
        "infonca",
        "Chen et al. 2024, arXiv:2402.05369",
        cross_entropy("alpha"),
        domains={"alpha": TEMPERATURE},
        beta=0.01,
        alpha=1.0,
    ),
    list_row(
        "nca_list",
        "Chen et al. 2024, arXiv:2402.05369",
        noise_contrastive,
        domains={"alpha": TEMPERATURE},
        beta=0.01,
        alpha=1.0,
    ),
    list_row(
        "exo_list",
        "EXO-rw, Ji et al. 2024, arXiv:2402.00856",
        reverse_kl,
        domains={"beta_r": TEMPERATURE},
        beta_r=0.1,
    ),
    # The same function as infonca, under the names and defaults of the paper that sets it against exo_list.
    list_row(
        "dpo_list",
        "DPO-rw, Ji et al. 2024, arXiv:2402.00856",
        cross_entropy("beta_r"),
        domains={"beta_r": TEMPERATURE},
        beta_r=0.1,
    ),
    list_row("irpo", "in-context ranking, Wu et al. 2025, arXiv:2504.15477", in_context_ranking, "relevance", beta=1.0),
    list_row(
        "d2o",
        "Duan et al. 2024, arXiv:2403.03419, eq. 3; anchors: harmful for the samples, helpful for the rejected",
        distributional,
        "sample",
        score=_against_two_anchors,
        anchors=2,
        domains={"alpha": NOT_NEGATIVE},
        alpha=0.1,
    ),
)
