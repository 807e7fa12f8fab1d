"""What a pairwise loss reads and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """Pairs as sequence log-probs, all `[N]`, float32 or wider, in nats.

    `lp_w`, `lp_l`: sums of the policy's log-probs over the learnt tokens of the chosen and the rejected answer;
    `rf_w`, `rf_l`: the same under the anchor (zeros for a loss without one); `n_w`, `n_l`: numbers of those tokens.
    `strength` is the probability that chosen beats rejected, `weight` multiplies an example's loss.
    """

    lp_w: Tensor
    lp_l: Tensor
    rf_w: Tensor
    rf_l: Tensor
    n_w: Tensor
    n_l: Tensor
    strength: Tensor
    weight: Tensor

    @property
    def ratio_w(self) -> Tensor:
        """Log-ratio of the chosen answer between policy and anchor, `[N]`."""
        return self.lp_w - self.rf_w

    @property
    def ratio_l(self) -> Tensor:
        """Log-ratio of the rejected answer between policy and anchor, `[N]`."""
        return self.lp_l - self.rf_l

    @property
    def nll(self) -> Tensor:
        """Negative log-likelihood of the chosen answer, mean over its tokens, `[N]`."""
        return -self.lp_w / self.n_w.clamp(min=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """The weighted loss of each example, and named quantities for metrics (unweighted, detached), all `[N]`."""

    loss_N: Tensor
    named: dict[str, Tensor]
