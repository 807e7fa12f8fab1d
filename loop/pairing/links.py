"""How strengths combine: from two responses' strengths against a third to one over the other."""

from __future__ import annotations

from loop.verdicts import logit, sigmoid

__all__ = ["pair_strength", "sigmoid"]


def pair_strength(s_i: float, s_j: float, link: str) -> float:
    """The strength of i over j from both strengths against the same baseline; `link` is `logit` or `linear`."""
    return 0.5 + (s_i - s_j) / 2 if link == "linear" else sigmoid(logit(s_i) - logit(s_j))
