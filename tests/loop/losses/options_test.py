"""Options of losses: which there are, and what they may be."""

from __future__ import annotations

from typing import Any

import pytest

from loop.errors import Refused
from loop.losses import ROWS, named_loss
from loop.losses.add_ons import ADD_ONS
from loop.losses.loss import COMMON


def test_every_option_has_a_domain_that_its_default_is_in() -> None:
    """AlphaPO's alpha may have either sign."""
    for row in ROWS.values():
        domains = {**COMMON, **row.domains}
        assert row.options.keys() >= row.domains.keys(), row.name
        assert row.options.keys() - domains.keys() <= ({"alpha"} if row.name == "alphapo" else set()), row.name
        assert named_loss(row.name).options == row.options


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("dpoo", {}, "there is no loss named 'dpoo'"),
        ("dpo", {"tau": 0.1}, "loss dpo has no option 'tau'; it has beta, kl, nll, nll_sum, optimism, scale"),
        ("sft", {"tau": 0.1}, "loss sft has no option 'tau'; it has none"),
        ("dpo", {"beta": 0.0}, "loss dpo: beta=0.0 must be above 0"),
        ("dpo", {"scale": 0.0}, "loss dpo: scale=0.0 must be above 0"),
        ("dpo", {"scale": -1.0}, "loss dpo: scale=-1.0 must be above 0"),
        *(("cpo", {add_on: -0.1}, f"loss cpo: {add_on}=-0.1 must not be below 0") for add_on in ADD_ONS),
        ("dpo", {"nll": float("nan")}, "loss dpo: nll=nan must be finite"),
        ("cdpo", {"eps": 0.5}, "loss cdpo: eps=0.5 must lie in"),
        ("rdpo", {"eps": 0.5}, "loss rdpo: eps=0.5 must lie in"),
        ("rdpo", {"eps": 0.6}, "loss rdpo: eps=0.6 must lie in"),
        ("exo", {"eps": 0.0}, "loss exo: eps=0.0 must lie in"),
        ("exo", {"eps": 1e-7}, "loss exo: eps=1e-07 must lie in [1e-6, 0.5)"),
        ("ipo", {"tau": 0.0}, "loss ipo: tau=0.0 must be above 0"),
        ("inpo", {"share": 1.0}, "loss inpo: share=1.0 must lie in [0, 1)"),
        ("inpo", {"share": -0.1}, "loss inpo: share=-0.1 must lie in"),
        ("inpo", {"eta": 0.0}, "loss inpo: eta=0.0 must be above 0"),
        ("modpo", {"w0": 0.05}, "loss modpo: w0=0.05 must lie in"),
        ("discopop", {"tau": 1.0}, "loss discopop: tau=1.0 must lie in"),
        ("f_alpha", {"alpha": 1.5}, "loss f_alpha: alpha=1.5 must lie in"),
        ("ld_dpo", {"alpha": -0.5}, "loss ld_dpo: alpha=-0.5 must lie in"),
        ("cpl", {"lambda": 1.5}, "loss cpl: lambda=1.5 must lie in"),
        ("slic_hf", {"delta": 0.0}, "loss slic_hf: delta=0.0 must be above 0"),
        ("simpo", {"gamma": -1.0}, "loss simpo: gamma=-1.0 must not be below 0"),
        ("r_dpo", {"alpha": -0.1}, "loss r_dpo: alpha=-0.1 must not be below 0"),
        ("dpop", {"lambda": -1.0}, "loss dpop: lambda=-1.0 must not be below 0"),
        ("flex_dpo", {"beta_rejected": -0.1}, "loss flex_dpo: beta_rejected=-0.1 must not be below 0"),
        ("flex_dpo", {"beta": 0.0}, "loss flex_dpo: beta=0.0 must be above 0"),
        ("upo", {"mu": 3.2}, "loss upo: mu=3.2 must be at least"),
        ("odpo", {"alpha": -1.0}, "loss odpo: alpha=-1.0 must not be below 0"),
        ("mm_dpo", {"w": -0.5}, "loss mm_dpo: w=-0.5 must not be below 0"),
        ("mm_dpo", {"k": -0.5}, "loss mm_dpo: k=-0.5 must not be below 0"),
        ("tdpo2", {"alpha": -0.5}, "loss tdpo2: alpha=-0.5 must not be below 0"),
        ("selm", {"alpha": -1e-3}, "loss selm: alpha=-0.001 must not be below 0"),
        ("srpo", {"alpha": 1.5}, "loss srpo: alpha=1.5 must lie in [0, 1]"),
        ("spa", {"alpha": 1.5}, "loss spa: alpha=1.5 must lie in [0, 1]"),
        ("beta_dpo", {"keep": 0.0}, "loss beta_dpo: keep=0.0 must lie in (0, 1]"),
        ("beta_dpo", {"keep": 1.5}, "loss beta_dpo: keep=1.5 must lie in (0, 1]"),
        ("beta_dpo", {"momentum": 1.0}, "loss beta_dpo: momentum=1.0 is the weight of the past"),
        ("beta_dpo", {"sensitivity": -0.6}, "loss beta_dpo: sensitivity=-0.6 must not be below 0"),
        ("kto", {"lam_d": 0.0}, "loss kto: lam_d=0.0 must be above 0"),
        ("kto", {"lam_u": -1.0}, "loss kto: lam_u=-1.0 must be above 0"),
        ("bco", {"decay": 1.5}, "loss bco: decay=1.5 is the weight of the past"),
        ("infonca", {"alpha": 0.0}, "loss infonca: alpha=0.0 is a temperature"),
        ("nca_list", {"alpha": 0.0}, "loss nca_list: alpha=0.0 is a temperature"),
        ("exo_list", {"beta_r": 0.0}, "loss exo_list: beta_r=0.0 is a temperature"),
        ("dpo_list", {"beta_r": 0.0}, "loss dpo_list: beta_r=0.0 is a temperature"),
        ("d2o", {"alpha": -0.1}, "loss d2o: alpha=-0.1 must not be below 0"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        named_loss(name, options)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rdpo", {"eps": 0.0}),
        ("exo", {"eps": 1e-6}),
        ("inpo", {"eta": 0.1, "share": 0.0}),
        ("beta_dpo", {"keep": 1.0, "momentum": 0.0}),
        ("upo", {"mu": 3.26}),
        ("modpo", {"w0": 0.1}),
        ("modpo", {"w0": 1.0}),
        ("f_alpha", {"alpha": 0.0}),
        ("f_alpha", {"alpha": 1.0}),
    ],
)
def test_the_ends_of_a_domain_are_taken(name: str, options: dict[str, float]) -> None:
    assert named_loss(name, options).options.items() >= options.items()
