"""What a loss reads and what it returns: sequence log-probs by example, in nats, float32 or wider.

Axes: `_N` examples, `_NK` examples x members of a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One response of each example, `[N]` (or `[N, K]` in a list).

    `lp`: sum of the policy's log-probs over the learnt tokens, end token included; `rf`: the same under the (first)
    anchor, zeros for a loss without one; `second`: under the second anchor; `n`: number of learnt tokens. `label` is
    what the pairing says of the response alone: a win rate, a mean score, a rank, or 1 for desirable and 0 for not.

    Sums over tokens that only some losses need: `kl`, KL(anchor || policy) over the whole vocabulary; `alignment`, the
    mean over tokens of log p(y_t) - log sum_v p(v)^2; `common`, the log-ratio of the tokens up to the length of the
    pair's shorter side.
    """

    lp: Tensor
    rf: Tensor
    n: Tensor
    second: Tensor | None = None
    label: Tensor | None = None
    kl: Tensor | None = None
    alignment: Tensor | None = None
    common: Tensor | None = None

    @property
    def ratio(self) -> Tensor:
        """Log-ratio between policy and anchor."""
        return self.lp - self.rf

    @property
    def mean(self) -> Tensor:
        """The policy's log-prob per token."""
        return self.lp / self.n.clamp(min=1)

    @property
    def mean_ratio(self) -> Tensor:
        """Log-ratio per token."""
        return self.ratio / self.n.clamp(min=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """Chosen and rejected responses. `strength` `[N]` is the probability that chosen beats rejected, `margin` `[N]` an
    external gap (scores, or a difference of win rates), `weight` `[N]` multiplies an example's loss. `gain` `[N]`:
    what asking about the pair would tell an estimator of its outcome, in nats from 0 (certain) to ln 2, which only some
    losses need. `others`: further responses that a loss asks for by role (`explored`, `on_policy`, ...)."""

    chosen: Side
    rejected: Side
    strength: Tensor
    margin: Tensor
    weight: Tensor
    gain: Tensor | None = None
    others: Mapping[str, Side] = field(default_factory=dict)

    @property
    def h(self) -> Tensor:
        """The margin of the log-ratios, `[N]`."""
        return self.chosen.ratio - self.rejected.ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBatch:
    """K responses of each prompt, labelled (`items.label` `[N, K]`); `mask` `[N, K]` is false where a list is
    shorter."""

    items: Side
    mask: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleBatch:
    """One labelled response per example. `others` as in `PairBatch` (`mismatched`)."""

    response: Side
    weight: Tensor
    others: Mapping[str, Side] = field(default_factory=dict)


Batch = PairBatch | ListBatch | SingleBatch


@dataclass(frozen=True, slots=True)
class Terms:
    """The weighted loss of each example, and named quantities for metrics (unweighted, detached), all `[N]`."""

    loss_N: Tensor
    named: dict[str, Tensor]
