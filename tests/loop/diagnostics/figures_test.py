"""The formulas, on numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from loop.diagnostics.figures import (
    calibration_error,
    correlation_within,
    entanglement,
    hard_share,
    ideal_margin,
    ideal_ranking_accuracy,
    implicit_accuracy,
    kl_tokens,
    ranking_accuracy,
)
from loop.diagnostics.vocabulary import top_entropy_and_mass


def test_ranking_is_by_likelihood_and_implicit_accuracy_by_the_change() -> None:
    """lp_w = -48 over 40 tokens, lp_l = -64 over 60; under the reference -50 and -60."""
    assert ranking_accuracy([-48], [-64]) == 1
    assert ranking_accuracy([-48 / 40], [-64 / 60]) == 0
    assert implicit_accuracy([-48 + 50], [-64 + 60]) == 1
    assert ranking_accuracy([-1, -2], [-1, -1]) == 0.5, "as likely counts"
    assert implicit_accuracy([0, 1], [0, 0]) == 0.5, "as changed does not"


def test_the_ideal_margin_depends_on_beta() -> None:
    assert ideal_margin([0.75], [-5.0], 0.1) == pytest.approx([5.986], abs=1e-3)
    assert ideal_margin([0.75], [-5.0], 1.0) == pytest.approx([-3.901], abs=1e-3)
    assert ideal_ranking_accuracy([0.75, 1.0], [-5.0, -1e6], 1.0) == 0.5, "a certain pair can always be learnt"


def test_a_pair_is_hard_from_five_nats_on() -> None:
    assert hard_share([-10, -10, -10, -10], [-6, -5, -4.9, 20]) == 0.5


def test_entangled_gradients_move_both_sides() -> None:
    chosen, rejected = np.array([1, 0.5]), np.array([0.9, 0.8])
    inner, squares = float(chosen @ rejected), (float(chosen @ chosen), float(rejected @ rejected))
    ratio, cosine = entanglement(inner, *squares)
    assert (inner, *squares) == pytest.approx((1.3, 1.25, 1.45))
    assert ratio == pytest.approx(1.04)
    assert cosine == pytest.approx(1.3 / math.sqrt(1.25 * 1.45))
    assert squares[0] - inner < 0 and inner - squares[1] < 0, "a step on the margin lowers both log-probs"
    assert math.isnan(entanglement(0.0, 0.0, 1.0)[0])


def test_kl_tokens_average_to_the_divergence_at_the_samplers_positions() -> None:
    policy, anchor, sampler = np.array([0.6, 0.25, 0.15]), np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    told = kl_tokens(np.log(policy), np.log(anchor), np.log(sampler))
    assert sampler @ told == pytest.approx(float(policy @ np.log(policy / anchor)))
    assert (told >= 0).all()
    assert kl_tokens([-1.0], [-1.5], [-1.0]) == pytest.approx([math.exp(-0.5) - 1 + 0.5])


def test_length_and_score_correlate_inside_groups() -> None:
    lengths, scores = [40, 60, 80, 100], [0.2, 0.4, 0.5, 0.9]
    assert correlation_within(["p"] * 4, lengths, scores) == pytest.approx(0.964764, abs=1e-6)
    two = correlation_within(["p"] * 4 + ["q"] * 4, [*lengths, 1040, 1060, 1080, 1100], scores + scores)
    assert two == pytest.approx(0.964764, abs=1e-6), "the other prompt's longer answers do not count"
    assert math.isnan(correlation_within(["p", "p"], [3, 3], [0, 1]))


def test_calibration_error_is_the_gap_of_confidence_and_accuracy() -> None:
    assert calibration_error([0.55, 0.65, 0.75, 0.9, 0.95], [0, 1, 1, 1, 1]) == pytest.approx(0.26)
    assert calibration_error([1.0, 1.0, 0.6], [1, 1, 0.5]) == pytest.approx(0.1 / 3)


def test_the_top_of_a_distribution() -> None:
    """p = (.5, .2, .1, .05, .05, .1), of which the top three have .8; renormalised they are (.625, .25, .125)."""
    logits = torch.tensor([[0.5, 0.2, 0.1, 0.05, 0.05, 0.1]], dtype=torch.float64).log() + 7
    entropy, mass = top_entropy_and_mass(logits, 3)
    assert float(mass) == pytest.approx(0.8)
    assert float(entropy) == pytest.approx(0.900256, abs=1e-6)
    assert float(top_entropy_and_mass(logits, 10)[1]) == pytest.approx(1.0)
