"""What a round learns from besides its own examples: a pure function of ids, round and seed.

An example that comes back keeps its label, strength and weight. Its anchor log-probs are computed afresh: what was
cached holds for another round's anchors, and the sampler's own are those of a policy that no longer is `previous`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from math import floor

from loop.errors import Refused
from loop.records import digest_of

DATA: dict[str, Mapping[str, float]] = {
    # The round's own examples alone.
    "this_round": {"first": 0.0, "decay": 0.0},
    # All examples so far (ReST-EM, arXiv:2312.06585; STaR).
    "accumulate": {"first": 1.0, "decay": 1.0},
    # Fewer of each older round: DNO's 30 %, 15 %, ... (arXiv:2404.03715); with first=1, decay=0 the round before,
    # whole (SPIN, arXiv:2401.01335).
    "replay": {"first": 0.3, "decay": 0.5},
}
"""Kinds of data: the share of the round before that comes back, and its factor for each round further back."""


def data_shares(data: str, options: Mapping[str, float] | None = None) -> tuple[float, float]:
    """`first` and `decay` for `replayed`. Only `replay` has options. Raises: Refused for a name, an option or a value
    that there is not."""
    if data not in DATA:
        raise Refused(f"there is no data named {data!r}; there are {', '.join(DATA)}")
    given = dict(options or {})
    if unknown := sorted(set(given) - set(DATA[data] if data == "replay" else ())):
        raise Refused(f"data {data} has no option {unknown[0]!r}; replay has decay, first")
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise Refused(f"data replay: {name}={value} must lie in 0 to 1")
    shares = {**DATA[data], **given}
    return shares["first"], shares["decay"]


def replayed(
    round: int,
    example_ids_by_round: Mapping[int, Collection[str]],
    first: float,
    decay: float,
    seed: int,
    rejected: Collection[int] = (),
) -> tuple[str, ...]:
    """The examples of earlier rounds that a round learns from again, oldest round first; its own are not among them.

    Of a round that lies `age` back, `first * decay^(age - 1)` of its examples come back, rounded down. Rejected rounds
    give nothing and do not count in an age. Which examples depends on their ids and the seed, so neither the order of
    the ids nor a resume matters, and what comes back of a round is part of what came back of it before.
    """
    chosen: list[str] = []
    for earlier in sorted(r for r in example_ids_by_round if r < round and r not in rejected):
        age = sum(between not in rejected for between in range(earlier, round))
        # as decimals: 0.29 of 100 are 29
        share = Fraction(repr(first)) * Fraction(repr(decay)) ** (age - 1)
        ids = set(example_ids_by_round[earlier])
        chosen += _shuffled(ids, seed)[: floor(share * len(ids))]
    return tuple(chosen)


def _shuffled(ids: Iterable[str], seed: int) -> list[str]:
    return sorted(ids, key=lambda example_id: digest_of("replay", seed, example_id))
