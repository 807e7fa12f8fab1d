import math
from collections import Counter

import numpy as np
import pytest
import torch

from loop.anchors import (
    KINDS,
    Resolved,
    anchor_options,
    combine,
    ema,
    ema_due,
    ema_label,
    logprobs_key,
    needs_log_probs,
    resolve,
    sampler_serves,
    still_needed,
)
from loop.config_types import DType
from loop.errors import Refused
from loop.records import PolicyVersion

# Round 3 was rejected: round 4 began with the version that round 3 had begun with.
HISTORY = [PolicyVersion(0, 0), PolicyVersion(1, 8), PolicyVersion(2, 16), PolicyVersion(2, 16), PolicyVersion(4, 24)]


def labels(kind, round, options=None, seed=0):
    return resolve(kind, round, HISTORY, options, seed).labels


def test_initial_is_what_the_run_started_from_and_previous_what_its_round_did():
    assert [labels("initial", r) for r in (1, 5)] == [("r0-s0",)] * 2
    assert [labels("previous", r) for r in range(1, 6)] == [(str(v),) for v in HISTORY]


def test_no_anchor_is_no_policy():
    assert resolve("none", 2, HISTORY, None, 0) == Resolved((), ())


def test_a_magnet_stays_until_its_reset():
    assert [labels("magnet", r, {"reset_every": 2})[0] for r in range(1, 6)] == [
        "r0-s0",
        "r0-s0",
        "r2-s16",
        "r2-s16",
        "r4-s24",
    ]
    assert [labels("magnet", r, {"reset_every": 9}) for r in range(1, 6)] == [("r0-s0",)] * 5
    assert [labels("magnet", r, {"reset_every": 1}) for r in range(1, 6)] == [
        labels("previous", r) for r in range(1, 6)
    ]


def test_a_random_past_version_is_drawn_evenly_from_those_that_there_were():
    drawn = Counter(labels("random_past", 4, seed=seed)[0] for seed in range(3000))
    assert set(drawn) == {"r0-s0", "r1-s8", "r2-s16"}  # the version that came back after the rejection counts once
    assert all(abs(count - 1000) < 130 for count in drawn.values())  # 5 standard deviations


def test_a_random_past_version_is_another_one_from_round_to_round_and_the_same_when_resumed():
    long = [PolicyVersion(r, 8 * r) for r in range(50)]
    drawn = [resolve("random_past", r, long, None, 3).labels[0] for r in range(1, 51)]
    assert drawn == [resolve("random_past", r, long[:r], None, 3).labels[0] for r in range(1, 51)]
    assert len(set(drawn)) > 15
    assert drawn[0] == "r0-s0"
    stuck = long[:10] + [long[9]] * 40  # rejected ever since: each round still draws among the same ten
    assert len({resolve("random_past", r, stuck, None, 3).labels for r in range(10, 51)}) > 5


def test_a_mixture_weighs_the_initial_policy_and_the_previous_one():
    assert resolve("mixture", 2, HISTORY, {"weight": 0.25}, 0) == Resolved(("r1-s8", "r0-s0"), (0.75, 0.25))
    # policies that would have no weight, or are the same, are not computed
    assert resolve("mixture", 2, HISTORY, {"weight": 0}, 0) == resolve("previous", 2, HISTORY, None, 0)
    assert resolve("mixture", 2, HISTORY, {"weight": 1}, 0) == resolve("initial", 2, HISTORY, None, 0)
    assert resolve("mixture", 1, HISTORY, {"weight": 0.25}, 0) == resolve("initial", 1, HISTORY, None, 0)


def test_weights_sum_to_one():
    for kind in set(KINDS) - {"none"}:
        assert math.isclose(sum(resolve(kind, 4, HISTORY, None, 0).weights), 1.0)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("sft", {}, "no anchor named 'sft'"),
        ("initial", {"weight": 0.5}, "anchor initial has no option 'weight'; it has none"),
        ("ema", {"tau": 2}, "no option 'tau'; it has alpha, every"),
        ("mixture", {"weight": 1.5}, "weight=1.5 must lie in 0 to 1"),
        ("ema", {"alpha": 0}, "alpha=0 must lie above 0"),
        ("ema", {"every": 0.5}, "every=0.5 must be a whole number"),
        ("magnet", {"reset_every": float("inf")}, "reset_every=inf must be a whole number"),
        ("magnet", {"reset_every": 0}, "reset_every=0 must be a whole number"),
    ],
)
def test_what_no_anchor_has_is_refused(kind, options, words):
    with pytest.raises(Refused, match=words):
        anchor_options(kind, options)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"ema", "none"}))
def test_every_version_that_a_later_round_asks_for_was_still_needed_before(kind):
    history = [PolicyVersion(r, 8 * r) for r in range(8)]
    options = {"reset_every": 3} if kind == "magnet" else None
    for round in range(1, 9):
        asked = {
            PolicyVersion.parse(v)
            for later in range(round, 9)
            for v in resolve(kind, later, history, options, 0).labels
        }
        assert asked & set(history[:round]) <= still_needed(kind, round, history, options)
    if kind not in {"initial", "random_past"}:
        assert len(still_needed(kind, 8, history, options)) <= 2  # and no version is kept for nothing


# Log-probs of two policies over three whole responses to one prompt.
P = np.log([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
W = (0.75, 0.25)


def test_a_mixture_is_linear_in_log_probs():
    mixed = combine(W, P.tolist())
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, 0.75 * P[0] + 0.25 * P[1], rtol=1e-6)
    np.testing.assert_array_equal(combine((1.0,), [P[0]]), P[0].astype(np.float32))
    with pytest.raises(ValueError):
        combine((1.0,), P)


def test_weights_outside_of_zero_to_one_lead_beyond_a_policy():
    # SPA's logits for telling noise apart, (1 + 1/2) * policy - 1/2 * earlier policy
    assert combine((1.5, -0.5), [[2, 0, -1], [1, 1, 0]]).tolist() == [2.5, -0.5, -1.5]


def test_the_normaliser_of_a_mixture_cancels_from_margins_but_not_from_single_log_ratios():
    unnormalised = W[0] * P[0] + W[1] * P[1]
    log_z = np.log(np.exp(unnormalised).sum())
    mixture = unnormalised - log_z  # a distribution
    assert math.isclose(np.exp(mixture).sum(), 1.0)
    assert log_z < -0.1
    ratio, true_ratio = P[0] - combine(W, P), P[0] - mixture
    np.testing.assert_allclose(ratio[0] - ratio[2], true_ratio[0] - true_ratio[2], rtol=1e-5)
    np.testing.assert_allclose(ratio - true_ratio, -log_z, rtol=1e-5)
    # -log Z is (1 - a) times the Renyi divergence of order a = 0.75 from the second policy
    renyi = np.log((np.exp(P[0]) ** 0.75 * np.exp(P[1]) ** 0.25).sum()) / (0.75 - 1)
    assert math.isclose(-log_z, 0.25 * renyi)


def test_a_shadow_moves_towards_the_policy():
    assert ema(1.0, 2.0, 0.6) == pytest.approx(1.6)
    torch.testing.assert_close(ema(torch.tensor([1.0, 0.0]), torch.tensor([2.0, -1.0]), 0.6), torch.tensor([1.6, -0.6]))
    hard = torch.randn(9)
    assert torch.equal(ema(torch.randn(9), hard, 1.0), hard)


def test_soft_updates_of_a_policy_that_stands_still_converge_to_it_geometrically():
    shadow = 0.0
    for n in range(1, 6):
        shadow = ema(shadow, 1.0, 0.4)
        assert shadow == pytest.approx(1 - 0.6**n)


def test_a_shadow_is_updated_every_so_many_steps():
    assert [step for step in range(10) if ema_due(step, 4.0)] == [4, 8]
    assert [step for step in range(4) if ema_due(step, 1)] == [1, 2, 3]


def test_a_shadow_is_labelled_by_its_rule_and_where_it_stood():
    assert resolve("ema", 2, HISTORY, {"alpha": 0.5, "every": 9}, 0).labels == ("r0-s0",)  # not yet updated
    assert resolve("ema", 3, HISTORY, {"alpha": 0.5, "every": 9}, 0).labels == ("ema-0.5-9@r2-s16",)
    # in the round after a rejection the shadow is that of the incumbent
    assert resolve("ema", 4, HISTORY, {"alpha": 0.5, "every": 9}, 0) == resolve(
        "ema", 3, HISTORY, {"alpha": 0.5, "every": 9}, 0
    )
    base = ema_label(HISTORY[0], HISTORY[4], {"alpha": 0.5, "every": 9})
    assert base != ema_label(HISTORY[0], HISTORY[4], {"alpha": 0.6, "every": 9})
    assert base != ema_label(HISTORY[0], HISTORY[4], {"alpha": 0.5, "every": 8})
    assert base != ema_label(HISTORY[0], PolicyVersion(5, 32), {"alpha": 0.5, "every": 9})


KEY = {"context_T": [1, 2, 3], "response_T": [4, 5], "weights": "abc", "dtype": DType.float32, "source": "learner"}


@pytest.mark.parametrize(
    "change",
    [
        {"context_T": [1, 2], "response_T": [3, 4, 5]},  # the same tokens, split elsewhere
        {"context_T": [1, 23]},
        {"context_T": [3, 2, 1]},
        {"response_T": [4, 5, 0]},
        {"weights": "abd"},
        {"dtype": DType.bfloat16},
        {"source": "sampler"},
    ],
)
def test_what_log_probs_depend_on_changes_their_key(change):
    assert logprobs_key(**KEY) != logprobs_key(**{**KEY, **change})


def test_how_tokens_are_held_does_not_change_a_key():
    assert logprobs_key(**KEY) == logprobs_key(
        np.array([1, 2, 3], np.int32), torch.tensor([4, 5]), "abc", DType("float32"), "learner"
    )


def test_the_samplers_log_probs_serve_for_the_sampler_where_both_agree():
    previous = resolve("previous", 3, HISTORY, None, 0)
    assert sampler_serves(previous, "r2-s16", 1e-4, 1e-3, DType.float32)
    assert sampler_serves(resolve("initial", 1, HISTORY, None, 0), "r0-s0", 1e-3, 1e-3, DType.float32)
    # of a mixture that is one policy, too
    assert sampler_serves(resolve("mixture", 1, HISTORY, None, 0), "r0-s0", 1e-4, 1e-3, DType.float32)


@pytest.mark.parametrize(
    ("kind", "sampled_by", "gap", "dtype"),
    [
        ("previous", "r2-s16", 2e-3, DType.float32),  # too far apart
        ("previous", "r2-s16", float("nan"), DType.float32),
        ("previous", "r2-s16", 1e-4, DType.bfloat16),
        ("previous", "r1-s8", 1e-4, DType.float32),  # a replayed response
        ("initial", "r2-s16", 1e-4, DType.float32),
        ("mixture", "r2-s16", 1e-4, DType.float32),
        ("none", "r2-s16", 1e-4, DType.float32),
    ],
)
def test_the_samplers_log_probs_do_not_serve_otherwise(kind, sampled_by, gap, dtype):
    assert not sampler_serves(resolve(kind, 3, HISTORY, None, 0), sampled_by, gap, 1e-3, dtype)


def test_log_probs_that_came_with_a_response_are_those_of_the_policy_that_sampled_it():
    assert not needs_log_probs("r2-s16", 5, "r2-s16")
    assert needs_log_probs("r1-s8", 5, "r2-s16")
    assert needs_log_probs("data:chosen", 0, "r2-s16")
    assert needs_log_probs("r2-s16", 0, "r2-s16")  # sampled behind something else
