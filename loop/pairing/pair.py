"""What every pairing rule returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """Positions of two responses in their group, the probability that the chosen one is better, and the judge's score
    gap."""

    chosen: int
    rejected: int
    strength: float
    margin: float
