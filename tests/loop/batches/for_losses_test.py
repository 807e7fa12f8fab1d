"""What a loss is given: sums over learnt tokens by example and role."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from loop.batches import batch_of, example_batch, sequence_of
from loop.errors import Refused
from loop.losses import ListBatch, Needs, PairBatch, SingleBatch, named_loss
from tests.loop.batches.rows import SEQUENCES, row
from tests.loop.factories import list_example, pair_example, single_example

INF = float("inf")
LOGPROBS = [-1.0, -2.0, -4.0, -8.0, -16.0, -INF]
"""Of the response tokens of a, b and c; the last is not learnt."""


def logprobs(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_a_pair_is_two_sides_with_both_anchors() -> None:
    examples = [
        pair_example("x", "a", "c", 0.75, margin=1.5, weight=2.0),
        replace(pair_example("y", "b", "a"), labels=[0.9, 0.1]),
    ]
    flat = example_batch(examples, SEQUENCES)
    pairs = batch_of(flat, logprobs(-1, -2, -4, -16, -INF, -8), "pair", Needs(anchors=2))
    assert isinstance(pairs, PairBatch)
    assert (pairs.chosen.lp.tolist(), pairs.rejected.lp.tolist()) == ([-7.0, -8.0], [-16.0, -7.0])
    assert (pairs.chosen.rf.tolist(), pairs.rejected.rf.tolist()) == ([-3.0, -0.5], [-0.5, -3.0])
    assert pairs.chosen.second is not None and pairs.chosen.second.tolist() == [-30.0, -10.0]
    assert (pairs.chosen.n.tolist(), pairs.rejected.n.tolist()) == ([3.0, 1.0], [1.0, 3.0])
    assert (pairs.strength.tolist(), pairs.margin.tolist(), pairs.weight.tolist()) == ([0.75, 1], [1.5, 0], [2, 1])
    assert pairs.chosen.label is None, "one of the examples has no labels"
    assert pairs.chosen.lp.dtype == pairs.strength.dtype == torch.float64


def test_labels_go_with_their_responses() -> None:
    swapped = pair_example("y", "b", "a")
    swapped = replace(swapped, response_ids=swapped.response_ids[::-1], roles=swapped.roles[::-1], labels=[0.1, 0.9])
    pairs = batch_of(example_batch([swapped], SEQUENCES), logprobs(-1, -2, -4, -8), "pair", Needs(labels="win_rate"))
    assert isinstance(pairs, PairBatch)
    assert pairs.chosen.label is not None and pairs.rejected.label is not None
    assert (pairs.chosen.label.tolist(), pairs.rejected.label.tolist()) == ([0.9], [0.1])
    assert (pairs.chosen.n.tolist(), pairs.rejected.n.tolist()) == ([1.0], [3.0])


def test_without_anchors_their_sums_are_zero() -> None:
    bare = {name: replace(one, anchors_AR=one.anchors_AR[:0]) for name, one in SEQUENCES.items()}
    pairs = batch_of(example_batch([pair_example("x", "a", "b")], bare), logprobs(-1, -2, -4, -8), "pair", Needs())
    assert isinstance(pairs, PairBatch)
    assert (pairs.chosen.rf.tolist(), pairs.chosen.second) == ([0.0], None)


def test_further_responses_stand_under_their_roles() -> None:
    pair = pair_example("x", "a", "b")
    pair = replace(pair, response_ids=["a", "b", "c"], roles=["chosen", "rejected", "explored"])
    pairs = batch_of(example_batch([pair], SEQUENCES), logprobs(*LOGPROBS), "pair", Needs(others=("explored",)))
    assert isinstance(pairs, PairBatch)
    assert pairs.others["explored"].lp.tolist() == [-16.0]
    single = replace(
        single_example("y", "a", 1.0), response_ids=["a", "b"], roles=["response", "mismatched"], labels=[]
    )
    found = batch_of(
        example_batch([single], SEQUENCES), logprobs(-1, -2, -4, -8), "single", Needs(others=("mismatched",))
    )
    assert isinstance(found, SingleBatch)
    assert (found.response.lp.tolist(), found.others["mismatched"].lp.tolist()) == ([-7.0], [-8.0])
    with pytest.raises(Refused, match="example x has no response in the role 'on_policy'"):
        batch_of(example_batch([pair], SEQUENCES), logprobs(*LOGPROBS), "pair", Needs(others=("on_policy",)))


def test_a_list_is_ragged_and_its_gaps_hold_nothing() -> None:
    examples = [list_example("x", ["b"], [0.5], weight=3.0), list_example("y", ["a", "c", "b"], [3.0, 2.0, 1.0])]
    logprobs_R = logprobs(-8, -1, -2, -4, -16, -INF)
    lists = batch_of(example_batch(examples, SEQUENCES), logprobs_R, "list", Needs(anchors=1))
    assert isinstance(lists, ListBatch) and lists.items.label is not None
    assert lists.items.lp.tolist() == [[-8.0, 0.0, 0.0], [-7.0, -16.0, -8.0]]
    assert lists.items.n.tolist() == [[1.0, 0.0, 0.0], [3.0, 1.0, 1.0]]
    assert lists.items.label.tolist() == [[0.5, 0.0, 0.0], [3.0, 2.0, 1.0]]
    assert lists.mask.tolist() == [[True, False, False], [True, True, True]]
    assert lists.weight.tolist() == [3.0, 1.0]
    (lists.items.lp * torch.tensor([[1.0, INF, INF], [0.0, 0.0, 10.0]])).nan_to_num().sum().backward()
    assert logprobs_R.grad is not None and logprobs_R.grad.tolist() == [11.0, 0.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("value", [INF, -INF, float("nan")])
def test_what_is_not_learnt_enters_neither_value_nor_gradient(value: float) -> None:
    logprobs_R = logprobs(-1, -2, -4, -16, value)
    examples = [pair_example("x", "a", "c")]
    flat = example_batch(examples, SEQUENCES)
    flat = replace(flat, anchors_AT=torch.where(flat.loss_mask_T, flat.anchors_AT, value))
    token_R = logprobs_R.detach().abs()
    needs = Needs(anchors=2, common=True)
    pairs = batch_of(flat, logprobs_R, "pair", needs, kl_R=token_R, alignment_R=-token_R)
    assert isinstance(pairs, PairBatch)
    for side in (pairs.chosen, pairs.rejected):
        numbers = [side.lp, side.rf, side.second, side.kl, side.alignment, side.common]
        assert all(number is not None and torch.isfinite(number).all() for number in numbers)
    (pairs.h.sum() + pairs.rejected.common.sum()).backward()  # type: ignore[union-attr]
    assert logprobs_R.grad is not None and logprobs_R.grad.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_token_quantities_are_summed_or_averaged_over_learnt_tokens() -> None:
    token_R = torch.tensor([1.0, 2.0, 6.0, 5.0, 7.0], dtype=torch.float64)
    flat = example_batch([pair_example("x", "a", "c")], SEQUENCES)
    pairs = batch_of(flat, logprobs(*LOGPROBS[:5]), "pair", Needs(), kl_R=token_R, alignment_R=token_R)
    assert isinstance(pairs, PairBatch) and pairs.chosen.kl is not None and pairs.chosen.alignment is not None
    assert (pairs.chosen.kl.tolist(), pairs.chosen.alignment.tolist()) == ([9.0], [3.0])
    assert pairs.rejected.kl is not None and pairs.rejected.kl.tolist() == [5.0]


def test_a_response_of_which_nothing_is_learnt_has_zeros_and_no_alignment() -> None:
    sequences = {**SEQUENCES, "c": replace(SEQUENCES["c"], loss_mask_R=SEQUENCES["c"].loss_mask_R & False)}
    flat, token_R = example_batch([pair_example("x", "a", "c")], sequences), torch.ones(5, dtype=torch.float64)
    pairs = batch_of(flat, logprobs(*LOGPROBS[:5]), "pair", Needs(anchors=1), alignment_R=token_R)
    assert isinstance(pairs, PairBatch) and pairs.rejected.alignment is not None
    assert (pairs.rejected.n.item(), pairs.rejected.lp.item(), pairs.rejected.alignment.item()) == (0, 0, 0)
    assert (pairs.rejected.mean.item(), pairs.rejected.mean_ratio.item()) == (0, 0)


def test_a_log_ratio_of_two_long_sums_keeps_its_digits() -> None:
    random = torch.Generator().manual_seed(0)
    lp_R, anchor_R = -1 + 0.1 * torch.randn(2, 8192, generator=random)
    long = sequence_of(row("long", [1], [2] * 8192), [anchor_R.tolist()])
    flat = example_batch([pair_example("x", "long", "b")], {**SEQUENCES, "long": long})
    flat = replace(flat, anchors_AT=flat.anchors_AT[:1])
    logprobs_R = torch.cat([lp_R, torch.tensor([-1.0])]).requires_grad_()
    assert logprobs_R.dtype == torch.float32
    pairs = batch_of(flat, logprobs_R, "pair", Needs(anchors=1, common=True))
    assert isinstance(pairs, PairBatch)
    exact = math.fsum(lp_R.tolist()) - math.fsum(anchor_R.tolist())
    assert pairs.chosen.ratio.item() == pytest.approx(exact, abs=1e-6)
    numbers = [pairs.chosen.lp, pairs.chosen.rf, pairs.chosen.n, pairs.chosen.common, pairs.strength, pairs.weight]
    assert all(number is not None and number.dtype == torch.float64 for number in numbers)
    named_loss("dpo").evaluate(pairs).loss_N.sum().backward()  # type: ignore[no-untyped-call]
    assert logprobs_R.grad is not None and logprobs_R.grad.dtype == torch.float32
    assert logprobs_R.grad[:8192].unique().numel() == 1 and logprobs_R.grad[0] < 0 < logprobs_R.grad[-1]


def test_common_is_the_log_ratio_up_to_the_pairs_shorter_side() -> None:
    """The learnt tokens count, not the sampled ones; a shared response has another common part in another pair."""
    sequences = {
        **SEQUENCES,
        "c": replace(SEQUENCES["c"], loss_mask_R=SEQUENCES["c"].loss_mask_R[::-1].copy()),
    }
    flat = example_batch([pair_example("x", "a", "c"), pair_example("y", "b", "a")], sequences)
    logprobs_R = logprobs(-1, -2, -4, INF, -16, -8)
    pairs = batch_of(flat, logprobs_R, "pair", Needs(anchors=1, common=True))
    assert isinstance(pairs, PairBatch) and pairs.chosen.common is not None and pairs.rejected.common is not None
    assert pairs.chosen.common.tolist() == [-0.5, -7.5]
    assert pairs.rejected.common.tolist() == [-15.0, -0.5]
    assert pairs.chosen.common[1] == pairs.chosen.ratio[1], "the shorter side's is all of it"
    pairs.chosen.common[0].backward()  # type: ignore[no-untyped-call]
    assert logprobs_R.grad is not None and logprobs_R.grad.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("alpha", "value"), [(0.0, 0.688160), (0.5, 0.678260), (1.0, 0.668460)])
def test_tokens_beyond_the_shorter_side_count_alpha(alpha: float, value: float) -> None:
    """Log-probs -1, -1.5, -.5 against -2, -1 (LD-DPO)."""
    sequences = {
        "long": sequence_of(row("long", [1], [3, 4, 5]), [[-1.1, -1.4, -0.9]]),
        "short": sequence_of(row("short", [1], [6, 7]), [[-1.8, -1.1]]),
    }
    loss = named_loss("ld_dpo", {"alpha": alpha})
    flat = example_batch([pair_example("x", "long", "short")], sequences)
    pairs = batch_of(flat, logprobs(-1, -1.5, -0.5, -2, -1), "pair", loss.needs)
    assert loss.evaluate(pairs).loss_N.tolist() == pytest.approx([value], rel=1e-5, abs=2e-6)


@pytest.mark.parametrize("kind", ["pair", "list", "single"])
def test_a_batch_without_examples_is_empty(kind: str) -> None:
    batch = batch_of(example_batch([], {}), torch.zeros(0), kind, Needs(common=True))  # type: ignore[arg-type]
    assert batch.weight.shape == (0,)
