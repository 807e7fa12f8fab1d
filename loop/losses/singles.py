"""Losses of one labelled response."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from loop.losses.batch import SingleBatch
from loop.losses.kernels import logistic
from loop.losses.parts import NOTHING, POSITIVE, Domain, Needs, Options, Row, Statistics, given

CLASSED = Needs(anchors=1, labels="desirable")


def step_rewards(ratio_S: Tensor, beta: float) -> Tensor:
    """Rewards `[S]` of a response's steps from the log-ratio of everything up to each step's end, `[S]`: what a step
    adds to beta * log-ratio (implicit process reward, arXiv:2412.01981)."""
    return beta * ratio_S.diff(prepend=ratio_S.new_zeros(1))


def _label(singles: SingleBatch) -> Tensor:
    return given(singles.response.label)


def _nll(singles: SingleBatch, options: Options, _: Tensor | None = None) -> Tensor:
    return -singles.response.mean


def _nll_sum(singles: SingleBatch, options: Options, _: Tensor | None = None) -> Tensor:
    return -singles.response.lp


def _classified(singles: SingleBatch, options: Options, shift_NS: Tensor | None = None) -> Tensor:
    """Cross-entropy between the label and the reward, less the step's shift where there is one."""
    reward_N = options["beta"] * singles.response.ratio
    return logistic(reward_N if shift_NS is None else reward_N - shift_NS[:, 0], _label(singles))


def _policy_gradient(singles: SingleBatch, options: Options, _: Tensor | None = None) -> Tensor:
    """-(P - 1/2 - beta * log-ratio) * lp, with the advantage held fixed: its gradient is that of the regularised win
    rate in expectation over the policy's own samples; its value means nothing."""
    advantage_N = _label(singles) - 0.5 - options["beta"] * singles.response.ratio.detach()
    return -advantage_N * singles.response.lp


def _prospect(singles: SingleBatch, options: Options, point_NS: Tensor | None = None) -> Tensor:
    """Kahneman and Tversky's value of a response against the reference point: it saturates on both sides."""
    assert point_NS is not None, "scope batch"
    gain_N = options["beta"] * (singles.response.ratio - point_NS[:, 0])
    desirable_N = options["lam_d"] * torch.sigmoid(-gain_N)
    return torch.where(_label(singles) > 0.5, desirable_N, options["lam_u"] * torch.sigmoid(gain_N))


def _mismatched(singles: SingleBatch, options: Options) -> Tensor:
    return singles.others["mismatched"].ratio[:, None]


def _reference_point(
    readings_ER: Tensor, state: Mapping[str, float], options: Options
) -> tuple[Tensor, dict[str, float]]:
    """z0: the mean log-ratio of responses to other prompts, an estimate of KL(policy || anchor), so not below 0."""
    return readings_ER.mean(0).clamp(min=0).expand(len(readings_ER), 1), {}


def _rewards(singles: SingleBatch, options: Options) -> Tensor:
    return torch.stack((options["beta"] * singles.response.ratio, _label(singles)), -1)


def _reward_shift(readings_ER: Tensor, state: Mapping[str, float], options: Options) -> tuple[Tensor, dict[str, float]]:
    """delta: halfway between the classes' mean rewards, each a moving average that includes this step.

    They begin at 0, the reward of every response while the policy is the anchor; a step without a class leaves that
    class's mean alone.
    """
    reward_E, label_E = readings_ER.unbind(1)
    means = dict(state)
    for name, share_E in (("desirable", label_E), ("undesirable", 1 - label_E)):
        if (total := share_E.sum()) > 0:
            mean = ((share_E * reward_E).sum() / total).item()
            means[name] = options["decay"] * state[name] + (1 - options["decay"]) * mean
    return torch.full_like(reward_E[:, None], sum(means.values()) / 2), means


SINGLES: tuple[Row, ...] = (
    Row(
        name="sft",
        source="mean NLL per token (rejection sampling: RAFT, arXiv:2304.06767; ReST-EM, arXiv:2312.06585)",
        formula=_nll,
        kind="single",
        needs=NOTHING,
    ),
    Row(
        name="sft_sum",
        source="sft without the mean over tokens: a longer response counts for more",
        formula=_nll_sum,
        kind="single",
        needs=NOTHING,
    ),
    Row(
        name="implicit_prm",
        source="Yuan et al. 2024, arXiv:2412.01981",
        formula=_classified,
        kind="single",
        needs=CLASSED,
        options={"beta": 0.05},
    ),
    Row(
        name="nash_md",
        source="Munos et al. 2023, arXiv:2312.00886; labels are win rates against the mixture",
        formula=_policy_gradient,
        kind="single",
        needs=Needs(anchors=1, labels="win_rate"),
        options={"beta": 0.1},
    ),
    Row(
        name="kto",
        source="Ethayarajh et al. 2024, arXiv:2402.01306",
        formula=_prospect,
        kind="single",
        needs=CLASSED | Needs(others=("mismatched",)),
        options={"beta": 0.1, "lam_d": 1.0, "lam_u": 1.0},
        domains={"lam_d": POSITIVE, "lam_u": POSITIVE},
        statistics=Statistics(_mismatched, _reference_point),
    ),
    Row(
        name="bco",
        source="Jung et al. 2024, arXiv:2404.04656",
        formula=_classified,
        kind="single",
        needs=CLASSED,
        options={"beta": 0.01, "decay": 0.9},
        domains={"decay": Domain(lambda past: 0 <= past <= 1, "is the weight of the past and must be in [0, 1]")},
        statistics=Statistics(_rewards, _reward_shift, {"desirable": 0.0, "undesirable": 0.0}),
    ),
)
