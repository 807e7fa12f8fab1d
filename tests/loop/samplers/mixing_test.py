"""Importance resampling against hand-worked weights and the exact mixture."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from loop.records import AnchorLogProbs, ShardRef
from loop.samplers.mixing import chosen, sums_under
from loop.shards import write_shard

OTHER, PREVIOUS = [-3.0, -3.0 + math.log(4), -2.0], [-3.0, -3.0, -2.0 - math.log(16)]
WEIGHTS = np.array([1.0, 2.0, 4.0])  # (other / previous)^(1/2)


def shares(positions: tuple[int, ...], n: int) -> np.ndarray:
    """How often each position was chosen."""
    counted = Counter(positions)
    return np.array([counted[at] for at in range(n)]) / len(positions)


def require_within_three_sigma(found: np.ndarray, expected: np.ndarray, n: int) -> None:
    sigma = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(found - expected) <= 3 * sigma).all(), (found, expected)


def test_draws_are_chosen_in_proportion_to_their_ratio_to_the_power_of_the_weight() -> None:
    found = chosen(OTHER, PREVIOUS, 0.5, 20_000, 1)
    require_within_three_sigma(shares(found.positions, 3), WEIGHTS / 7, 20_000)
    assert found.effective == pytest.approx(49 / 21)


def test_ten_thousand_prompts_choose_as_often_as_they_should() -> None:
    positions = tuple(chosen(OTHER, PREVIOUS, 0.5, 1, seed).positions[0] for seed in range(10_000))
    require_within_three_sigma(shares(positions, 3), WEIGHTS / 7, 10_000)


@pytest.mark.parametrize("weight", [0.125, 0.5, 0.9])
def test_of_many_draws_the_chosen_ones_are_samples_of_the_mixture(weight: float) -> None:
    previous, other = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, 0.2, 0.3, 0.4])
    mixture = previous ** (1 - weight) * other**weight
    mixture /= mixture.sum()
    draw, found = random.Random(0), list[int]()
    for prompt in range(400):
        answers = draw.choices(range(4), previous, k=500)
        logs = [[math.log(policy[answer]) for answer in answers] for policy in (other, previous)]
        found += [answers[at] for at in chosen(*logs, weight, 25, prompt).positions]
    # the draws themselves vary too: a share's deviation is that of 10,000 choices and of 200,000 weighted draws
    deviation = np.sqrt(mixture * (1 - mixture) * (1 / 10_000 + 3 / 200_000))
    assert (np.abs(shares(tuple(found), 4) - mixture) <= 3 * deviation).all()


def test_a_weight_of_zero_chooses_evenly_and_a_sharp_ratio_always_the_same() -> None:
    even = chosen(OTHER, PREVIOUS, 0.0, 9000, 0)
    require_within_three_sigma(shares(even.positions, 3), np.full(3, 1 / 3), 9000)
    assert even.effective == pytest.approx(3)
    sharp = chosen([-5000.0, -10.0, -9000.0], [-10.0, -6000.0, -8000.0], 1.0, 50, 0)
    assert set(sharp.positions) == {1}
    assert sharp.effective == pytest.approx(1)


def test_what_all_draws_share_does_not_matter() -> None:
    far = [one - 40_000.0 for one in OTHER]
    assert chosen(far, PREVIOUS, 0.5, 30, 4).positions == chosen(OTHER, PREVIOUS, 0.5, 30, 4).positions


def test_a_seed_decides() -> None:
    first = chosen(OTHER, PREVIOUS, 0.5, 30, 4)
    assert chosen(OTHER, PREVIOUS, 0.5, 30, 4) == first
    assert chosen(OTHER, PREVIOUS, 0.5, 30, 5).positions != first.positions
    assert chosen(OTHER, PREVIOUS, 0.5, 3, 4).positions == first.positions[:3]


def test_sums_are_those_of_one_policy_over_all_shards(tmp_path: Path) -> None:
    def shard(number: int, *rows: tuple[str, str, list[float]]) -> ShardRef:
        stored = [AnchorLogProbs(one, 2, "initial", policy, "n", "k", logprobs) for one, policy, logprobs in rows]
        return write_shard(tmp_path, "draft_anchors", 2, number, stored, AnchorLogProbs)

    refs = [
        shard(0, ("a", "r0-s0", [-0.5, -1.0]), ("b", "r0-s0", []), ("c", "r1-s8", [-9.0])),
        shard(1, ("d", "r0-s0", [-0.25]), ("a", "r1-s8", [-7.0])),
        shard(2),
    ]
    assert sums_under(refs, "r0-s0") == {"a": -1.5, "b": 0.0, "d": -0.25}
    assert sums_under(refs, "r1-s8") == {"c": -9.0, "a": -7.0}
    assert sums_under((), "r0-s0") == {}
