"""How many prompts each source gives to each round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction


def whole_weights(weights: Sequence[float]) -> list[int]:
    """Weights as the smallest whole numbers in exactly the same proportion."""
    exact = [Fraction(weight) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * scale) for weight in exact]
    return [weight // math.gcd(*whole) for weight in whole]


def most_per_round(weights: Sequence[float], per_round: int) -> list[int]:
    """The largest number of prompts that a round can ask of each source: its share of `per_round`, rounded up."""
    whole = whole_weights(weights)
    return [-(-per_round * weight // sum(whole)) for weight in whole]


def cumulative_counts(weights: Sequence[float], per_round: int, rounds: int) -> list[list[int]]:
    """For each source, the prompts that rounds before 0, 1, ..., `rounds` took together (`rounds` + 1 numbers).

    Every round's counts sum to `per_round` and are shares rounded down or up; the largest remainders are rounded up,
    and what a source was owed in earlier rounds is part of its remainder, so that long runs keep the weights whatever
    the size of a round. Equal remainders are decided by position.
    """
    whole = whole_weights(weights)
    total = sum(whole)
    floors, rests = zip(*(divmod(per_round * weight, total) for weight in whole), strict=True)
    ups = per_round - sum(floors)
    owed = [0] * len(whole)
    taken = [[0] for _ in whole]
    for _ in range(rounds):
        owed = [before + rest for before, rest in zip(owed, rests, strict=True)]
        up = set(sorted(range(len(whole)), key=lambda source: -owed[source])[:ups])
        for source, counts in enumerate(taken):
            counts.append(counts[-1] + floors[source] + (source in up))
            owed[source] -= total * (source in up)
    return taken
