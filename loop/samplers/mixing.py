"""Samples of a mixture of two policies, chosen among samples of one of them: importance resampling."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import pyarrow.compute as pc

from loop.records import ShardRef
from loop.shards import read_arrow


@dataclass(frozen=True, slots=True)
class Chosen:
    """Positions of the draws that were chosen, and the effective sample size of all draws, in 1 to their number: as
    many draws of the mixture itself would say as much of it."""

    positions: tuple[int, ...]
    effective: float


def chosen(other: Sequence[float], previous: Sequence[float], weight: float, k: int, seed: int) -> Chosen:
    """Choose `k` of some draws of the policy `previous` so that they stand for samples of the mixture proportional to
    previous^(1 - weight) * other^weight (Nash-MD, arXiv:2312.00886), the more exactly the more draws there are.

    `other` and `previous` are the draws' log-probs under either policy, sums over their tokens. Each choice is made
    among all draws, with probabilities in proportion to (other / previous)^weight, so a draw may be chosen twice.
    """
    logs = weight * (np.asarray(other, np.float64) - np.asarray(previous, np.float64))
    weights = np.exp(logs - logs.max())
    reached = list(accumulate(weights.tolist()))
    draw = random.Random(seed)
    positions = (bisect_right(reached, draw.random() * reached[-1]) for _ in range(k))
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return Chosen(tuple(min(at, len(reached) - 1) for at in positions), effective)


def sums_under(weights: Iterable[ShardRef], policy: str) -> dict[str, float]:
    """The sum of each response's log-probs under a policy, by response id, from shards of `AnchorLogProbs`."""
    sums: dict[str, float] = {}
    for ref in weights:
        sums |= _sums_in(ref.path, policy)
    return sums


@lru_cache(maxsize=64)
def _sums_in(path: str, policy: str) -> dict[str, float]:
    """The sums of one file, which every request of a round reads. A row is found by its id, whatever its round."""
    table = read_arrow(path, ["response_id", "policy", "logprobs_T"])
    table = table.filter(pc.equal(table["policy"], policy))
    ends_N = np.cumsum([0, *pc.list_value_length(table["logprobs_T"]).to_pylist()])
    logprobs = pc.list_flatten(table["logprobs_T"]).to_numpy().astype(np.float64)
    reached = np.cumsum(np.concatenate([[0.0], logprobs]))
    return dict(zip(table["response_id"].to_pylist(), np.diff(reached[ends_N]).tolist(), strict=True))
