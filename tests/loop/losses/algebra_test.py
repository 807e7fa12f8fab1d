"""The algebra: how parts compose, what rows declare, what options they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from loop.losses import ROWS, Loss, Needs, PairBatch, Side, named_loss
from loop.losses.algebra import pair_row
from loop.losses.anchorless import ANCHORLESS
from loop.losses.asymmetric import ASYMMETRIC
from loop.losses.kernels import SQUARED
from loop.losses.pairwise import PAIRWISE
from loop.losses.regression import REGRESSION
from loop.losses.scores import LOG_RATIO, MEAN_LOG_PROB
from loop.losses.targets import LENGTH, MARGIN, OFFSET, ONE, STRENGTH
from tests.loop.losses.fixtures import F1, P, pair_batch
from tests.loop.losses.steps import evaluated

NAMES = [row.name for row in (*PAIRWISE, *ANCHORLESS, *ASYMMETRIC, *REGRESSION)]
ROLES = ("explored", "on_policy")

NOTHING, ANCHOR = Needs(), Needs(anchors=1)
NEEDS: dict[str, Needs] = {
    **dict.fromkeys(["slic_hf", "cpo", "cpl", "simpo", "alphapo", "orpo", "asft", "simper"], NOTHING),
    **dict.fromkeys(["dpo", "hinge", "discopop", "ln_dpo", "r_dpo", "dpop", "flex_dpo", "npo"], ANCHOR),
    **dict.fromkeys(["f_jsd", "f_forward_kl", "f_alpha", "chi_po", "cdpo", "rdpo", "exo"], ANCHOR),
    **dict.fromkeys(["rpo", "iterative_rpo", "nca", "apo_zero", "apo_down", "ipo", "ipo_mean", "sppo_hard"], ANCHOR),
    **dict.fromkeys(["spce", "gdpo", "online_ipo"], Needs(anchors=1, strengths=True)),
    **dict.fromkeys(["odpo", "mm_dpo", "rdo", "modpo", "omd", "distilled"], Needs(anchors=1, margins=True)),
    "upo": Needs(anchors=1, certainty=True),
    "sppo": Needs(anchors=1, labels="win_rate"),
    "gpo": Needs(anchors=1, labels="skew"),
    **dict.fromkeys(["xpo", "selm"], Needs(anchors=1, others=("explored",))),
    "hypo": Needs(anchors=1, others=("on_policy",)),
    "ld_dpo": Needs(anchors=1, common=True),
    "inpo": Needs(anchors=2),
}


def random_pairs(seed: int, n: int = 3) -> PairBatch:
    """Pairs with everything that any pairwise loss reads; log-probs are leaves."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)

    def side() -> Side:
        lp = uniform(-8, -2)
        return Side(
            lp=lp.requires_grad_(),
            rf=lp.detach() + uniform(-2, 2),
            n=torch.randint(2, 9, (n,), generator=generator).double(),
            second=lp.detach() + uniform(-2, 2),
            label=uniform(0, 1),
            common=uniform(-1, 1),
        )

    return PairBatch(
        chosen=side(),
        rejected=side(),
        strength=uniform(0.1, 0.9),
        margin=uniform(0.1, 0.6),
        weight=uniform(0.5, 2),
        gain=uniform(0.1, 0.5),
        others={role: side() for role in ROLES},
    )


def random_options(name: str, seed: int) -> dict[str, float]:
    """The row's own options, each moved by up to 30 %, and every add-on."""
    generator = torch.Generator().manual_seed(seed)
    moved = {
        key: value * (0.7 + 0.6 * torch.rand(1, generator=generator).item())
        for key, value in ROWS[name].options.items()
    }
    return {**moved, "nll": 0.2, "nll_sum": 0.1}


def test_every_pairwise_row_declares_its_needs() -> None:
    assert {name: named_loss(name).needs for name in NAMES} == NEEDS


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_finite_differences(name: str, seed: int) -> None:
    loss, batch = named_loss(name, random_options(name, seed)), random_pairs(seed)
    explored = batch.others["explored"]

    def total(chosen_lp: Tensor, rejected_lp: Tensor, explored_lp: Tensor) -> Tensor:
        moved = replace(
            batch,
            chosen=replace(batch.chosen, lp=chosen_lp),
            rejected=replace(batch.rejected, lp=rejected_lp),
            others={**batch.others, "explored": replace(explored, lp=explored_lp)},
        )
        return loss.evaluate(moved).loss_N

    assert torch.autograd.gradcheck(total, (batch.chosen.lp, batch.rejected.lp, explored.lp))


def on_sides(change: Callable[[Side], Side]) -> Callable[[PairBatch], PairBatch]:
    def changed(batch: PairBatch) -> PairBatch:
        others = {role: change(side) for role, side in batch.others.items()}
        return replace(batch, chosen=change(batch.chosen), rejected=change(batch.rejected), others=others)

    return changed


CHANGES: Mapping[str, tuple[Callable[[PairBatch], PairBatch], Callable[[Needs], bool]]] = {
    "anchor": (on_sides(lambda side: replace(side, rf=side.rf + side.n.square())), lambda needs: needs.anchors > 0),
    "second": (
        on_sides(lambda side: replace(side, second=side.second + side.n.square())),
        lambda needs: needs.anchors > 1,
    ),
    "label": (
        on_sides(lambda side: replace(side, label=side.label + side.n.square())),
        lambda needs: bool(needs.labels),
    ),
    "common": (on_sides(lambda side: replace(side, common=side.common + side.n.square())), lambda needs: needs.common),
    "strength": (lambda batch: replace(batch, strength=batch.strength / 2), lambda needs: needs.strengths),
    "margin": (lambda batch: replace(batch, margin=batch.margin + 0.2), lambda needs: needs.margins),
    "gain": (lambda batch: replace(batch, gain=batch.gain + 0.1), lambda needs: needs.certainty),
    **{
        role: (
            lambda batch, role=role: replace(
                batch, others={**batch.others, role: replace(batch.others[role], lp=batch.others[role].lp - 1)}
            ),
            lambda needs, role=role: role in needs.others,
        )
        for role in ROLES
    },
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_loss_reads_what_it_needs_and_nothing_else(name: str, what: str) -> None:
    change, needed = CHANGES[what]
    loss, batch = named_loss(name), random_pairs(4)
    before_N, after_N = loss.evaluate(batch).loss_N, loss.evaluate(change(batch)).loss_N
    assert bool((before_N != after_N).any()) == needed(loss.needs)


def test_a_row_scales_the_kernel_of_the_stretched_and_shifted_score() -> None:
    row = pair_row(
        "all", "", LOG_RATIO, SQUARED, target=ONE, shift=LENGTH, stretch=STRENGTH, factor=MARGIN, beta=0.5, alpha=0.1
    )
    batch = pair_batch(P, strength=0.25, margin=3.0)
    loss_N = Loss(row, {**row.options, "scale": 2.0}).evaluate(batch).loss_N
    z = 0.25 * (0.5 * 6 + 0.1 * (40 - 60))
    assert loss_N.item() == pytest.approx(2 * 3 * (z - 1) ** 2)


def test_a_row_needs_what_its_parts_need() -> None:
    row = pair_row("all", "", MEAN_LOG_PROB, target=STRENGTH, shift=OFFSET)
    assert row.needs == Needs(strengths=True, margins=True)


def test_what_either_needs_is_needed_by_both() -> None:
    labelled, further = Needs(anchors=1, labels="skew"), Needs(certainty=True, others=("explored",))
    both = Needs(anchors=1, certainty=True, labels="skew", others=("explored",))
    assert labelled | further == further | labelled == both


def test_a_row_without_beta_takes_the_score_as_it_is() -> None:
    row = pair_row("bare", "", LOG_RATIO, SQUARED, beta=None)
    assert "beta" not in row.options
    assert Loss(row, row.options).evaluate(pair_batch(P)).loss_N.item() == pytest.approx(25.0)


def test_a_default_that_no_part_reads_is_a_mistake_in_the_row() -> None:
    with pytest.raises(AssertionError, match="gama"):
        pair_row("typo", "", LOG_RATIO, gama=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_every_pairwise_loss_takes_every_add_on(name: str) -> None:
    batch = random_pairs(5)
    off = dict.fromkeys(("nll", "nll_sum", "optimism", "kl"), 0.0)
    on = {"nll": 0.3, "nll_sum": 0.2, "optimism": 0.1, "kl": 0.4}
    terms = {
        "nll": -batch.chosen.lp / batch.chosen.n,
        "nll_sum": -batch.chosen.lp,
        "optimism": batch.others["explored"].lp,
        "kl": batch.others["on_policy"].lp - batch.others["on_policy"].rf,
    }
    bare_N = named_loss(name, off).evaluate(batch).loss_N
    added_N = batch.weight * sum(on[key] * terms[key] for key in on)
    torch.testing.assert_close(named_loss(name, on).evaluate(batch).loss_N, bare_N + added_N)


def test_an_add_on_is_needed_only_with_a_weight() -> None:
    assert named_loss("simpo").needs == NOTHING
    assert named_loss("simpo", {"kl": 0.1}).needs == Needs(anchors=1, others=("on_policy",))
    assert named_loss("simpo", {"optimism": 0.1}).needs == Needs(others=("explored",))
    assert named_loss("xpo", {"optimism": 0.0}).needs == ANCHOR


def test_weight_multiplies_the_loss_and_not_the_metrics() -> None:
    loss = named_loss("dpo", {"nll": 0.2})
    once, thrice = loss.evaluate(pair_batch(P)), loss.evaluate(pair_batch(P, weight=3.0))
    assert thrice.loss_N.item() == pytest.approx(3 * once.loss_N.item())
    assert {k: v.item() for k, v in thrice.named.items()} == {k: v.item() for k, v in once.named.items()}


@pytest.mark.parametrize(
    ("name", "margin"),
    [
        ("dpo", 6.0),
        ("ipo_mean", 2 / 40 + 4 / 60),
        # By token the rejected answer is the likelier one.
        ("simpo", -48 / 40 + 64 / 60),
        ("simper", -48 / 40 + 64 / 60),
        ("orpo", -0.196780),
        ("cpo", 16.0),
        ("flex_dpo", 0.1 * 2 + 0.02 * 4),
        ("beta_dpo", 6.0),
        ("srpo", 6.0),
        ("inpo", 16.0 - 10 / 3 - 2 / 3 * -4),
    ],
)
def test_margin_and_accuracy_are_of_the_score_that_the_loss_is_built_on(name: str, margin: float) -> None:
    """Before beta, shift and target."""
    loss = named_loss(name)
    others = {role: {"lp": -1.0, "rf": -1.0} for role in loss.needs.others}
    named = evaluated(loss, pair_batch({**P, "second_w": -50.0, "second_l": -46.0}, others=others)).named
    assert named["margin"].item() == pytest.approx(margin, abs=1e-6)
    assert named["accuracy"].item() == float(margin > 0)
    assert not any(v.requires_grad for v in named.values())


def test_metrics() -> None:
    named = named_loss("dpo").evaluate(pair_batch(P, {**F1, "lp_w": -20.0})).named
    assert {k: v.tolist() for k, v in named.items()} == {
        "margin": [6.0, -8.0],
        "accuracy": [1.0, 0.0],
        "chosen_log_ratio": [2.0, -10.0],
        "rejected_log_ratio": [-4.0, -2.0],
        "nll": [1.2, 1.0],
    }
    assert not any(v.requires_grad for v in named.values())
