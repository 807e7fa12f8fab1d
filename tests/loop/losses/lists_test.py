"""Losses of lists: published numbers, gradients, ties, and members that are none."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from loop.losses import ListBatch, Row, Side, named_loss
from loop.losses.lists import LISTS, ranks
from tests.loop.losses.fixtures import list_k
from tests.loop.losses.steps import TOLERANCES, central_differences, close, gradients, random_step

Tolerance = tuple[torch.dtype, float, float]


def listed(scores: list[float], labels: list[float], dtype: torch.dtype = torch.float64) -> ListBatch:
    """One list of log-ratios and labels."""
    lp_NK = torch.tensor([scores], dtype=dtype, requires_grad=True)
    zero_NK = torch.zeros_like(lp_NK, requires_grad=False)
    items = Side(lp=lp_NK, rf=zero_NK, n=zero_NK + 1, label=torch.tensor([labels], dtype=dtype), second=zero_NK)
    return ListBatch(items=items, mask=zero_NK == 0, weight=torch.ones(1, dtype=dtype))


def softmax(*values: float) -> list[float]:
    return torch.tensor(values, dtype=torch.float64).softmax(-1).tolist()


SCORES = (0.6, -0.2, 0.1)
Q = softmax(*SCORES)
CE_SHARP = [q - p for q, p in zip(Q, softmax(1.8, 1.0, 0.2), strict=True)]
CE_SOFT = [q - p for q, p in zip(Q, softmax(0.9, 0.5, 0.1), strict=True)]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "options", "value", "gradient_K"),
    [
        ("lipo", {}, 0.376720, None),
        ("list_mle", {}, 1.575049, [Q[0] - 1, None, None]),
        ("infonca", {"alpha": 1.0}, 1.079678, CE_SOFT),
        ("nca_list", {"alpha": 0.5}, 1.354268, None),
        ("exo_list", {"beta_r": 0.5}, 0.105352, None),
        ("dpo_list", {"beta_r": 0.5}, 0.999524, CE_SHARP),
    ],
)
def test_three_scores_with_graded_labels(
    name: str, options: dict[str, float], value: float, gradient_K: list[float | None] | None, tolerance: Tolerance
) -> None:
    loss, batch = named_loss(name, {"beta": 0.05, **options}), list_k(0.05, tolerance[0])
    got_N = loss.evaluate(batch).loss_N
    close(got_N, [value], tolerance)
    (gradient_NK,) = gradients(got_N.sum(), [batch.items.lp])
    for got, expected in zip(gradient_NK[0] / 0.05, gradient_K or [], strict=False):
        if expected is not None:
            close(got, expected, tolerance)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_in_context_ranking_weighs_by_relevance_and_position(tolerance: Tolerance) -> None:
    batch = listed([0.6, -0.2, 0.1], [3, 1, 0], tolerance[0])
    loss = named_loss("irpo")
    close(loss.evaluate(batch).loss_N, [1.204745], tolerance)
    # One relevance at a time shows the weights 7, 0.630930 and 0.
    shares = [loss.evaluate(listed([0.6, -0.2, 0.1], labels)).loss_N for labels in ([3, 0, 0], [0, 1, 0], [0, 0, 3])]
    others = [math.log((math.exp(a) + math.exp(b)) / 2) for a, b in ((-0.2, 0.1), (0.6, 0.1), (0.6, -0.2))]
    unweighted = [math.log1p(math.exp(other - score)) / 3 for other, score in zip(others, SCORES, strict=True)]
    weights = [share.item() / one for share, one in zip(shares, unweighted, strict=True)]
    assert weights == pytest.approx([7.0, 1 / math.log2(3), 7 / 2], rel=1e-12)
    assert 1 / math.log2(3) == pytest.approx(0.630930, abs=1e-6)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_samples_against_one_rejected_response(tolerance: Tolerance) -> None:
    """Two samples with log-ratios .5 and -.2 to one anchor, the rejected with -4 to the other one."""
    batch = listed([0.5, -0.2, -1.0], [1, 1, 0], tolerance[0])
    batch = replace(batch, items=replace(batch.items, second=torch.tensor([[9.0, 9.0, 3.0]], dtype=tolerance[0])))
    got_N = named_loss("d2o").evaluate(batch).loss_N
    close(got_N, [0.507023], tolerance)
    slope = 0.1 / (1 + math.exp(0.415))
    close(gradients(got_N.sum(), [batch.items.lp])[0], [[-slope / 2, -slope / 2, slope]], tolerance)


def test_a_sample_is_what_is_labelled_above_one_half() -> None:
    second_NK = torch.tensor([[9.0, 9.0, 3.0]], dtype=torch.float64)
    steps = [listed([0.5, -0.2, -1.0], labels) for labels in ([1, 1, 0], [0.6, 0.9, 0.4])]
    hard, soft = (
        named_loss("d2o").evaluate(replace(one, items=replace(one.items, second=second_NK))).loss_N for one in steps
    )
    assert soft.item() == hard.item()


@pytest.mark.parametrize("row", LISTS, ids=lambda row: row.name)
def test_gradients_agree_with_finite_differences(row: Row) -> None:
    loss = named_loss(row.name, {"beta": 0.3})
    batch = random_step(loss, 4, seed=3)
    (got,) = gradients(loss.evaluate(batch).loss_N.sum(), [batch.items.lp])
    expected = central_differences(lambda: loss.evaluate(batch).loss_N.sum(), batch.items.lp)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("row", LISTS, ids=lambda row: row.name)
def test_a_masked_member_never_enters(row: Row, junk: float) -> None:
    loss, labels = named_loss(row.name, {"beta": 0.4}), [1.0, 0.25, 0.0]
    short, long = listed([0.6, -0.2, 0.1], labels), listed([0.6, junk, -0.2, 0.1, junk], [1.0, junk, 0.25, 0.0, junk])
    items = replace(long.items, rf=torch.tensor([[0.0, junk, 0.0, 0.0, 1.0]]), second=long.items.lp.detach() * 0)
    long = replace(long, items=items, mask=torch.tensor([[True, False, True, True, False]]))
    values = [loss.evaluate(batch).loss_N for batch in (short, long)]
    torch.testing.assert_close(*values, rtol=1e-12, atol=1e-12)
    expected, got = (
        gradients(one.sum(), [batch.items.lp])[0] for one, batch in zip(values, (short, long), strict=True)
    )
    torch.testing.assert_close(got[:, [0, 2, 3]], expected, rtol=1e-12, atol=1e-12)
    assert got[0, [1, 4]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("row", LISTS, ids=lambda row: row.name)
def test_a_list_without_members_has_no_gradient(row: Row) -> None:
    batch = replace(listed([0.5, 1.0], [1, 0]), mask=torch.tensor([[False, False]]))
    value_N = named_loss(row.name).evaluate(batch).loss_N
    assert value_N.item() == pytest.approx(math.log(2) if row.name == "d2o" else 0)
    assert gradients(value_N.sum(), [batch.items.lp])[0].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("name", ["lipo", "list_mle", "infonca", "exo_list", "dpo_list", "irpo"])
def test_a_list_of_one_compares_nothing(name: str) -> None:
    batch = replace(listed([0.5, math.nan], [1, 0]), mask=torch.tensor([[True, False]]))
    value_N = named_loss(name).evaluate(batch).loss_N
    assert value_N.item() == pytest.approx(0, abs=1e-15)
    assert gradients(value_N.sum(), [batch.items.lp])[0].abs().max() < 1e-15


@pytest.mark.parametrize("row", [row for row in LISTS if row.name != "irpo"], ids=lambda row: row.name)
def test_permuting_a_list_permutes_its_gradient(row: Row) -> None:
    """In-context ranking is left out: positions are its subject."""
    loss, scores, labels = named_loss(row.name, {"beta": 0.7}), [0.3, -0.4, 1.1, 0.2], [0.0, 1.0, 0.0, 1.0]

    def gradient(order: tuple[int, ...]) -> tuple[float, Tensor]:
        batch = listed([scores[i] for i in order], [labels[i] for i in order])
        value_N = loss.evaluate(batch).loss_N
        return value_N.item(), gradients(value_N.sum(), [batch.items.lp])[0][0]

    value, expected_K = gradient((0, 1, 2, 3))
    for order in permutations(range(4)):
        permuted, got_K = gradient(order)
        assert permuted == pytest.approx(value, rel=1e-12)
        torch.testing.assert_close(got_K, expected_K[list(order)], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("junk", [-1e4, 1e4])
@pytest.mark.parametrize("row", LISTS, ids=lambda row: row.name)
def test_far_scores_stay_finite(row: Row, junk: float) -> None:
    batch = listed([junk, 0.0, -junk], [1, 0.5, 0], torch.float32)
    value_N = named_loss(row.name).evaluate(batch).loss_N
    assert value_N.isfinite().all() and gradients(value_N.sum(), [batch.items.lp])[0].isfinite().all()


def test_lists_of_two_with_a_hard_label_are_pairs() -> None:
    h = 0.8
    dpo = -logsigmoid(torch.tensor(0.3 * h, dtype=torch.float64)).item()
    hard = {"infonca": {"alpha": 1e-3}, "dpo_list": {"beta_r": 1e-3}, "list_mle": {}}
    for name, options in hard.items():
        value_N = named_loss(name, {"beta": 0.3, **options}).evaluate(listed([h, 0.0], [1, 0])).loss_N
        assert value_N.item() == pytest.approx(dpo, rel=1e-12), name
    lipo = named_loss("lipo", {"beta": 0.3}).evaluate(listed([h, 0.0], [1, 0])).loss_N
    assert lipo.item() == pytest.approx((1 / math.log(2) - 1 / math.log(3)) * dpo, rel=1e-12)
    assert lipo.item() / dpo == pytest.approx(0.532456, abs=1e-6)


def test_ranks_are_of_the_present_scores_and_ties_follow_the_list() -> None:
    everyone = torch.ones(1, 4, dtype=torch.bool)
    assert ranks(torch.tensor([[0.6, -0.2, 0.1, 0.6]]), everyone).tolist() == [[1, 4, 3, 2]]
    assert ranks(torch.zeros(1, 4), everyone).tolist() == [[1, 2, 3, 4]]
    assert ranks(torch.tensor([[9.0, -0.2, 0.1, 0.6]]), ~torch.eye(4, dtype=torch.bool)[:1]).tolist() == [[4, 3, 2, 1]]


def test_lambda_weights_do_not_vanish_while_the_policy_is_the_anchor() -> None:
    batch = listed([0.0, 0.0, 0.0], [0.9, 0.5, 0.1])
    (gradient_NK,) = gradients(named_loss("lipo").evaluate(batch).loss_N.sum(), [batch.items.lp])
    assert gradient_NK[0, 0] < 0 < gradient_NK[0, 2]


def test_plackett_luce_is_the_probability_of_drawing_the_order() -> None:
    scores, labels = [0.6, -0.2, 0.1, 1.3], [0.2, 0.9, 0.1, 0.5]
    left, probability = {0, 1, 2, 3}, 1.0
    for index in (1, 3, 0, 2):
        probability *= math.exp(scores[index]) / sum(math.exp(scores[i]) for i in left)
        left.remove(index)
    value_N = named_loss("list_mle", {"beta": 1.0}).evaluate(listed(scores, labels)).loss_N
    assert value_N.item() == pytest.approx(-math.log(probability), rel=1e-12)


def test_tied_members_are_not_compared() -> None:
    loss = named_loss("list_mle", {"beta": 1.0})
    tied = listed([0.6, -0.2, 0.1], [0.5, 0.5, 0.5])
    assert loss.evaluate(tied).loss_N.item() == 0
    assert gradients(loss.evaluate(tied).loss_N.sum(), [tied.items.lp])[0].abs().sum() == 0
    # Two equal winners over one loser: two pairs with it, none between them.
    both = loss.evaluate(listed([0.6, -0.2, 0.1], [1, 1, 0])).loss_N.item()
    assert both == pytest.approx(math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.3)), rel=1e-12)


def test_needs_are_declared() -> None:
    assert {row.name: (row.kind, row.needs.anchors, row.needs.labels) for row in LISTS} == {
        **{name: ("list", 1, "score") for name in ("list_mle", "infonca", "nca_list", "exo_list", "dpo_list")},
        **{name: ("list", 1, "relevance") for name in ("lipo", "irpo")},
        "d2o": ("list", 2, "sample"),
    }
