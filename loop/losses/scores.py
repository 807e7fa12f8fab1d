"""Scores: what a kernel is applied to, before it is multiplied by beta; and targets: what a kernel aims at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from loop.losses.pairs import PairBatch


@dataclass(frozen=True, slots=True)
class Score:
    """A number per example, `[N]`; `anchors` is the number of frozen policies whose log-probs enter it."""

    name: str
    anchors: int
    of: Callable[[PairBatch], Tensor]


@dataclass(frozen=True, slots=True)
class Target:
    """The kernel's target per example, `[N]`; `strengths` says whether it is made from the examples' strengths."""

    name: str
    strengths: bool
    of: Callable[[PairBatch], Tensor]


LOG_RATIO_MARGIN = Score("log_ratio_margin", 1, lambda pairs: pairs.ratio_w - pairs.ratio_l)

ONE = Target("one", False, lambda pairs: torch.ones_like(pairs.lp_w))
STRENGTH = Target("strength", True, lambda pairs: pairs.strength)
