"""Add-ons: terms that any pairwise loss may carry, each switched on by its option (a weight; 0 is off)."""

from __future__ import annotations

from torch import Tensor

from loop.losses.batch import PairBatch
from loop.losses.parts import ANCHOR, NOTHING, Needs, Options, Part


def _on_policy_kl(pairs: PairBatch, options: Options) -> Tensor:
    """KL(policy || anchor) by one fresh sample of the policy. Its value is the sample's log-ratio rho, its gradient the
    score function's, rho * grad lp: the expectation of grad rho alone is zero."""
    fresh = pairs.others["on_policy"]
    return fresh.ratio.detach() * (1 + fresh.lp - fresh.lp.detach())


ADD_ONS: dict[str, Part] = {
    # Negative log-likelihood of the chosen answer, mean over its tokens (iterative RPO).
    "nll": Part(lambda pairs, o: -pairs.chosen.mean, NOTHING),
    # The same as a sum (RPO).
    "nll_sum": Part(lambda pairs, o: -pairs.chosen.lp, NOTHING),
    # Optimism (XPO): the log-prob of a response that the anchor sampled, with a plus sign, since the loss is minimised
    # and probability is to leave what the anchor does already.
    "optimism": Part(lambda pairs, o: pairs.others["explored"].lp, Needs(others=("explored",))),
    # Divergence from the anchor outside the data (HyPO).
    "kl": Part(_on_policy_kl, ANCHOR | Needs(others=("on_policy",))),
}
"""By the option that weighs them."""
