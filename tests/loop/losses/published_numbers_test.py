"""Values and gradients computed from the papers' formulas, for every loss that a pair's log-probs alone do not give,
and for quantities on the way to a value. Those of pairs alone are in `pair_vectors_test`; the two hold every loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from loop.losses import ROWS, ListBatch, PairBatch, Side, SingleBatch, named_loss
from loop.losses.batch import Batch
from loop.losses.lists import ranks
from loop.losses.scores import LOG_ODDS, TWO_ANCHORS, log1mexp
from loop.losses.targets import GROWING, HALF_ETA
from loop.losses.vocabulary import alignment, kl_to, sparse_score
from tests.loop.losses.fixtures import F1, B, Distributions, Numbers, P, list_k, pair_batch, tokens_t
from tests.loop.losses.pair_vectors_test import BEST, VECTORS, WORST, ratios
from tests.loop.losses.pair_vectors_test import TWO_ANCHORS as TWO_ANCHORS_PAIR
from tests.loop.losses.steps import TOLERANCES, close, evaluated, gradients, singles
from tests.loop.pairing.cases import members, samples, scored

Tolerance = tuple[torch.dtype, float, float]
Rows = list[list[float]]


class Step(NamedTuple):
    """A loss's value on each example of a step (or their sum or mean), and its derivatives by the log-probs: of the
    response, of the list, or of the chosen side and the rejected one."""

    name: str
    options: Numbers
    step: Callable[[torch.dtype], Batch]
    value: list[float] | float
    gradients: Rows | None = None
    of: Callable[[Tensor], Tensor] = lambda loss_N: loss_N
    state: Mapping[str, float] | None = None


def listed(labels: list[float], second: list[float] | None, *scores: float) -> Callable[[torch.dtype], ListBatch]:
    """One list of log-ratios."""

    def step(dtype: torch.dtype) -> ListBatch:
        lp_NK = torch.tensor([scores], dtype=dtype, requires_grad=True)
        label_NK, second_NK = (None if row is None else torch.tensor([row], dtype=dtype) for row in (labels, second))
        rf_NK = torch.zeros_like(lp_NK, requires_grad=False)
        items = Side(lp=lp_NK, rf=rf_NK, n=rf_NK + 1, label=label_NK, second=second_NK)
        return ListBatch(items=items, mask=rf_NK == 0, weight=torch.ones(1, dtype=dtype))

    return step


def labelled(*responses: tuple[float, float], mismatched: list[float] | None = None) -> Callable[[torch.dtype], Batch]:
    """Responses by their log-ratios and labels."""
    log_ratios, labels = zip(*responses, strict=True)
    return lambda dtype: singles(log_ratios, labels, mismatched, dtype)


def paired(*rows: Numbers, **others: Numbers) -> Callable[[torch.dtype], Batch]:
    """Pairs, and other responses by role."""
    return lambda dtype: pair_batch(*rows, dtype=dtype, others=others)


def token_side(of: Distributions) -> Side:
    """A response with what the token losses read."""
    kl, mean = kl_to(of.anchor_TV, of.policy_TV).sum(), alignment(of.policy_TV, of.tokens_T).mean()
    return replace(of.side(), kl=kl.reshape(1), alignment=mean.reshape(1))


def two_tokens(dtype: torch.dtype) -> PairBatch:
    """Fixture T."""
    one_N = torch.ones(1, dtype=dtype)
    chosen, rejected = map(token_side, tokens_t(dtype))
    return PairBatch(chosen=chosen, rejected=rejected, strength=one_N, margin=one_N * 0, weight=one_N)


def revised(**log_ratios: float) -> dict[str, Numbers]:
    """The revisions of a pair, those not given at 0."""
    roles = [f"{one}_given_{other}" for one in ("chosen", "rejected") for other in ("chosen", "rejected")]
    return {role: {"lp": log_ratios.get(role, 0.0), "rf": 0.0} for role in roles}


IMPROVED = revised(chosen_given_rejected=2.0, rejected_given_rejected=0.5)
BOTH_SHOWN = revised(
    chosen_given_rejected=3.0, rejected_given_rejected=0.5, chosen_given_chosen=0.2, rejected_given_chosen=-1.0
)
MOVED = revised(chosen_given_rejected=1.0, rejected_given_chosen=-0.5)
QUANTILES = {f"margin_{index:02}": -1.0 if index < 5 else 0.0 for index in range(50)}

LISTED = [
    Step("lipo", {"beta": 0.05}, partial(list_k, 0.05), [0.376720]),
    Step("list_mle", {"beta": 1.0}, partial(list_k, 1.0), [1.575049]),
    Step("infonca", {"beta": 1.0, "alpha": 1.0}, partial(list_k, 1.0), [1.079678]),
    Step("nca_list", {"beta": 1.0, "alpha": 0.5}, partial(list_k, 1.0), [1.354268]),
    Step("exo_list", {"beta": 1.0, "beta_r": 0.5}, partial(list_k, 1.0), [0.105352]),
    Step("dpo_list", {"beta": 1.0, "beta_r": 0.5}, partial(list_k, 1.0), [0.999524]),
    Step("irpo", {}, listed([3, 1, 0], None, 0.6, -0.2, 0.1), [1.204745]),
    # Degrees told apart by a classifier: one hard label.
    Step("infonca", {"beta": 1.0, "alpha": 1e-3}, listed([1, 0, 0], None, 2.0, 0.5, -1.0), [0.241311]),
    Step("d2o", {}, listed([1, 1, 0], [9, 9, 3], 0.5, -0.2, -1.0), [0.507023]),
]

SINGLE = [
    Step("kto", {}, labelled((2, 1), (-4, 0), mismatched=[1.5, -0.5]), [0.462570, 0.389361], [[-0.02486, 0.023776]]),
    Step("kto", {}, labelled((2, 1), (-4, 0), mismatched=[1.5, -0.5]), 0.851931, None, Tensor.sum),
    Step("bco", {"beta": 0.1, "decay": 1.0}, labelled((2, 1), (-4, 0)), 1.111154, [[-0.045017, 0.040131]], Tensor.sum),
    Step("bco", {"beta": 0.1, "decay": 0.0}, labelled((2, 1), (-4, 0)), 1.108710, None, Tensor.sum),
    Step("implicit_prm", {}, labelled((4, 1), (-6, 0)), [0.598139, 0.554355]),
    Step("nash_md", {}, labelled((2, 0.7)), [0.0], [[0.0]]),
]

STEPS = [
    Step("dpo", {}, paired(*B), 0.302637, None, Tensor.mean),
    Step("aot", {"beta": 0.1}, paired(*B), 0.277135, None, Tensor.mean),
    Step("aot_unpaired", {"beta": 0.1}, paired(*B), 0.293543, None, Tensor.mean),
    # The moving mean comes to 2 with this step's margin of 6.
    Step("beta_dpo", {}, paired(P), [0.122243], [[-0.039123], [0.039123]], state={"mean": 14 / 9}),
    Step(
        "spa", {}, paired(*(ratios(h, 0) for h in (-2, 0.5, 3, 7))), [0.778139, 0.66846, 0.554355, 0.403186],
        state=QUANTILES,
    ),
]  # fmt: skip

TOKENS = [
    Step("tdpo1", {}, two_tokens, [0.642483]),
    Step("tdpo2", {}, two_tokens, [0.642069]),
    Step("wpo", {"beta": 0.1}, two_tokens, [0.395381]),
]

ROLES = [
    Step("xpo", {}, paired(P, explored={"lp": -55.0}), [0.436938], [[-0.035434], [0.035434]]),
    Step("xpo", {}, paired(F1, explored={"lp": -40.0}), [0.512615], [[-0.0401312], [0.0401312]]),
    Step("xpo", {"optimism": 5e-6}, paired(F1, explored={"lp": -40.0}), [0.512815]),
    # The published gradient by the chosen log-prob, -.00484, counts the explored response's, alpha * beta, too.
    Step("selm", {}, paired(P, explored={"lp": -48.0, "rf": -50.0}), [0.663617], [[-0.00484 - 1e-5], [0.00485]]),
    Step("hypo", {"kl": 0.1}, paired(F1, on_policy={"lp": -7.0, "rf": -10.0}), [0.813015], [[-0.0401312], [0.0401312]]),
    # The other order of showing the answers stands at a gain of 0, an error of 1/2.
    Step("srpo", {"beta": 0.5, "alpha": 0.0}, paired(F1, **IMPROVED), [(0.0625 + 0.25) / 2]),
    Step("srpo", {"beta": 0.1, "alpha": 0.0}, paired(F1, **BOTH_SHOWN), [(0.0625 + 0.1444) / 2]),
    Step("srpo", {"beta": 0.5, "alpha": 1.0}, paired(F1, **MOVED), [0.765625], [[0.4375], [-0.4375]]),
    # A published form regresses to 1 in place of 1/2, which is four times as large: .01.
    Step("srpo", {"beta": 0.1, "alpha": 1.0}, paired(ratios(2, -3), **BOTH_SHOWN), [0.01 / 4]),
]

PUBLISHED = [*LISTED, *SINGLE, *STEPS, *TOKENS, *ROLES]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
@pytest.mark.parametrize("expected", PUBLISHED, ids=lambda one: f"{one.name}-{one.value}")
def test_value_and_gradients(expected: Step, tolerance: Tolerance) -> None:
    step = expected.step(tolerance[0])
    loss_N = evaluated(named_loss(expected.name, expected.options), step, expected.state).loss_N
    close(expected.of(loss_N), expected.value, tolerance)
    for got_N, gradient_N in zip(gradients(loss_N.sum(), learnt(step)), expected.gradients or [], strict=False):
        close(got_N.flatten(), gradient_N, tolerance)


def learnt(step: Batch) -> list[Tensor]:
    """The log-probs that a step's gradients are by."""
    if isinstance(step, PairBatch):
        return [step.chosen.lp, step.rejected.lp]
    return [step.response.lp if isinstance(step, SingleBatch) else step.items.lp]


def test_every_loss_has_a_published_number() -> None:
    """But the mean and the sum of log-probs, which are no formula."""
    published = {one.name for one in VECTORS} | {one.name for one in PUBLISHED}
    assert set(ROWS) - published == {"sft", "sft_sum"}


def test_log_odds_of_the_probability_per_token() -> None:
    even_w, even_l = ({**P, f"lp_{side}": -math.log(2) * P[f"n_{side}"]} for side in "wl")  # log-odds 0
    odds = [LOG_ODDS.of(pair_batch(one), {}).item() for one in (even_l, even_w, P)]
    assert odds == pytest.approx([-0.841618, 0.644838, -0.196780], rel=1e-5, abs=2e-6)


def test_unlikelihood_of_the_probability_per_token() -> None:
    assert log1mexp(torch.tensor(-64 / 60, dtype=torch.float64)).item() == pytest.approx(-0.421829, rel=1e-5)


def test_beta_grows_with_the_gap() -> None:
    stretch_N = GROWING.of(pair_batch({**P, "margin": 1.5}), {"w": 0.5, "k": 0.5})
    assert 0.1 * stretch_N.item() == pytest.approx(0.126382, rel=1e-5)


@pytest.mark.parametrize(("eta", "share", "score", "target"), [(0.5, 0.5, 3.25, 1.0), (7.5e-3, 1 / 3, 3.0, 66.666667)])
def test_margin_between_two_anchors_and_its_target(eta: float, share: float, score: float, target: float) -> None:
    pair, options = pair_batch(TWO_ANCHORS_PAIR), {"eta": eta, "share": share}
    assert TWO_ANCHORS.of(pair, options).item() == pytest.approx(score, rel=1e-5)
    assert HALF_ETA.of(pair, options).item() == pytest.approx(target, rel=1e-5)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        (ratios(0.5, 0.0, label_w=BEST, label_l=0.5), 0.002788),
        (ratios(0.0, -0.7, label_w=0.5, label_l=WORST), 0.021667),
    ],
)
def test_each_side_regresses_to_its_own_win_rate(pair: Numbers, value: float) -> None:
    """The other side stands on its target."""
    loss = named_loss("sppo", {"beta": 0.5, "scale": 1.0})
    assert loss.evaluate(pair_batch(pair)).loss_N.item() == pytest.approx(value, rel=1e-5, abs=2e-6)


def test_ranks_of_three_scores() -> None:
    items = list_k().items
    assert ranks(items.lp.detach(), items.rf == 0).tolist() == [[1, 3, 2]]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("masks", "value"),
    [
        ((([1, 0.5], [0.5, 0.5]), ([0.2, 0], [1, 0])), 0.675131),
        ((([1, 1], [1, 1]), ([1, 1], [1, 1])), 0.642483),  # tdpo1's
    ],
)
def test_sparse_scores_are_learnt_by_the_logistic_loss(
    masks: tuple[Rows, Rows], value: float, tolerance: Tolerance
) -> None:
    def side(of: Distributions, masks: Rows) -> Side:
        index_T1, (ratio_mask_T, kl_mask_T) = of.tokens_T[:, None], torch.tensor(masks, dtype=tolerance[0])
        ratio_T = (of.policy_TV.log_softmax(-1) - of.anchor_TV).gather(-1, index_T1)[:, 0]
        score = sparse_score(ratio_T, kl_to(of.anchor_TV, of.policy_TV), ratio_mask_T, kl_mask_T)
        return Side(lp=score.reshape(1), rf=torch.zeros(1, dtype=tolerance[0]), n=torch.ones(1))

    chosen, rejected = (side(one, mask) for one, mask in zip(tokens_t(tolerance[0]), masks, strict=True))
    pair = replace(two_tokens(tolerance[0]), chosen=chosen, rejected=rejected)
    close(named_loss("dpo").evaluate(pair).loss_N, [value], tolerance)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
def test_a_model_of_gaps_ranks_four_comparisons(tolerance: Tolerance) -> None:
    """PIT: of good over bad, good over good, bad over bad and bad over good each outranks those below it, equals
    aside; a reward model's scores are learnt as log-probs without an anchor are."""
    gaps = (1.2, 0.1, -0.1, -1.0)
    pairs = members("all_pairs", samples(4), scored(2, 1, 1, 0), min_score=0.0)
    assert pairs == [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]
    batch = pair_batch(*({"lp_w": gaps[i], "lp_l": gaps[j]} for i, j in pairs), dtype=tolerance[0])
    close(named_loss("cpo", {"beta": 1.0, "nll": 0.0}).evaluate(batch).loss_N.sum(), 1.261916, tolerance)
