"""From tokens to what a loss reads: sums over the learnt tokens of each response, arranged by example and role.

Axes: `_R` response tokens in flat order, `_U` those of them that are learnt, `_S` sequences, `_N` examples, `_NK`
examples x members of a list, `_M` either of these two.
"""

from __future__ import annotations

import torch
from torch import Tensor

from loop.batches.flat import FlatBatch, Member, require_fit
from loop.losses.batch import Batch, ListBatch, PairBatch, Side, SingleBatch
from loop.losses.parts import Kind, Needs

NOBODY = Member(-1, "item", 0.0)
"""Stands where a list is shorter: its sequence is the one behind all others, which has no tokens."""


def batch_of(
    flat: FlatBatch,
    logprobs_R: Tensor,
    kind: Kind,
    needs: Needs,
    kl_R: Tensor | None = None,
    alignment_R: Tensor | None = None,
) -> Batch:
    """A flat batch as a loss of `kind` with these needs reads it, in float64: a log-ratio is a small difference of two
    long sums.

    Per response token in flat order, `[R]`: the policy's log-prob (nats, float32 or wider) and, where the loss needs
    them, KL(anchor || policy) and the alignment log p(y_t) - log sum_v p(v)^2. What is not learnt enters neither a
    value nor a gradient, not even as 0 * inf. Raises: Refused when an example's roles or labels do not fit the loss.
    """
    gained = (~flat.gain_N.isnan()).tolist() if needs.certainty else [False] * len(flat.example_ids)
    for example_id, members, certain in zip(flat.example_ids, flat.members_N, gained, strict=True):
        labelled = all(member.label is not None for member in members)
        require_fit(example_id, [member.role for member in members], labelled, kind, needs, certain)
    assert len(flat.anchors_AT) >= needs.anchors, "a loss is given all of its anchors"
    sums, weight_N = _Sums(flat, logprobs_R, kl_R, alignment_R), flat.weight_N.double()
    if kind == "list":
        items, mask_NK = sums.lists()
        return ListBatch(items=items, mask=mask_NK, weight=weight_N)
    others = {role: sums.one(role) for role in needs.others}
    if kind == "single":
        return SingleBatch(response=sums.one("response"), weight=weight_N, others=others)
    shorter_N = torch.minimum(sums.one("chosen").n, sums.one("rejected").n) if needs.common else None
    return PairBatch(
        chosen=sums.one("chosen", shorter_N),
        rejected=sums.one("rejected", shorter_N),
        strength=flat.strength_N.double(),
        margin=flat.margin_N.double(),
        weight=weight_N,
        gain=flat.gain_N.double() if needs.certainty else None,
        others=others,
    )


class _Sums:
    """Sums over the learnt tokens of each sequence, float64; behind the sequences stands one without tokens."""

    def __init__(self, flat: FlatBatch, logprobs_R: Tensor, kl_R: Tensor | None, alignment_R: Tensor | None) -> None:
        self.members_N = flat.members_N
        response_T, learnt_R = flat.response_T, flat.loss_mask_T[flat.response_T]
        self.segments_U = flat.segments_T[response_T][learnt_R]
        self.sequences = flat.sequences
        lp_U, anchors_AU = logprobs_R[learnt_R].double(), flat.anchors_AT[:, response_T][:, learnt_R].double()
        anchors_AS = [self._sum(anchor_U) for anchor_U in anchors_AU]
        self.lp_S, self.n_S = self._sum(lp_U), self._sum(torch.ones_like(lp_U))
        self.rf_S = anchors_AS[0] if anchors_AS else torch.zeros_like(self.lp_S)
        self.second_S = anchors_AS[1] if len(anchors_AS) > 1 else None
        self.kl_S = None if kl_R is None else self._sum(kl_R[learnt_R].double())
        self.alignment_S = None
        if alignment_R is not None:
            self.alignment_S = self._sum(alignment_R[learnt_R].double()) / self.n_S.clamp(min=1)
        self.ratio_U = lp_U - anchors_AU[0] if len(anchors_AU) else lp_U

    def one(self, role: str, common_N: Tensor | None = None) -> Side:
        """The one response of each example in a role; `common_N`: the length of the shorter side of its pair."""
        return self._side([next(m for m in members if m.role == role) for members in self.members_N], common_N)

    def lists(self) -> tuple[Side, Tensor]:
        """All items of each example, `[N, K]`, and where there are any."""
        lists = [[member for member in members if member.role == "item"] for members in self.members_N]
        longest = max(map(len, lists), default=0)
        rectangle = [member for items in lists for member in items + [NOBODY] * (longest - len(items))]
        mask_M = torch.tensor([member is not NOBODY for member in rectangle], dtype=torch.bool)
        shape = (len(lists), longest)
        return self._side(rectangle, None, shape), mask_M.to(self.lp_S.device).view(shape)

    def _side(self, members: list[Member], common_N: Tensor | None, shape: tuple[int, ...] = (-1,)) -> Side:
        device = self.lp_S.device
        at_M = torch.tensor([member.sequence for member in members], dtype=torch.int64, device=device).view(shape)
        labels = [member.label for member in members if member.label is not None]
        labelled = len(labels) == len(members)
        return Side(
            lp=self.lp_S[at_M],
            rf=self.rf_S[at_M],
            n=self.n_S[at_M],
            second=None if self.second_S is None else self.second_S[at_M],
            label=torch.tensor(labels, dtype=torch.float64, device=device).view(shape) if labelled else None,
            kl=None if self.kl_S is None else self.kl_S[at_M],
            alignment=None if self.alignment_S is None else self.alignment_S[at_M],
            common=None if common_N is None else self._first(at_M, common_N),
        )

    def _sum(self, values_U: Tensor) -> Tensor:
        return values_U.new_zeros(self.sequences + 1).index_add(0, self.segments_U, values_U)

    def _first(self, at_N: Tensor, most_N: Tensor) -> Tensor:
        """The log-ratio of a sequence's first learnt tokens, at most so many."""
        starts_S = self.n_S.long().cumsum(0) - self.n_S.long()
        place_U = torch.arange(len(self.segments_U), device=at_N.device) - starts_S[self.segments_U]
        longest = int(self.n_S.max())
        ratio_SL = self.ratio_U.new_zeros(self.sequences + 1, longest)
        ratio_SL = ratio_SL.index_put((self.segments_U, place_U), self.ratio_U)
        within_NL = torch.arange(longest, device=at_N.device) < most_N[:, None]
        return torch.where(within_NL, ratio_SL[at_N], 0).sum(-1)
