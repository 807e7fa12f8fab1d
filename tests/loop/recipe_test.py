"""Recipes whose loss needs what a run cannot give."""

from __future__ import annotations

import pytest

from loop.composition import compose
from loop.losses import ROWS, named_loss
from loop.recipe import lacking
from loop.validation import problems


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("dpo", []),
        ("wpo", []),
        ("ld_dpo", []),
        ("inpo", []),
        ("tdpo1", ["the full logits of an anchor"]),
        ("upo", []),
        ("xpo", []),
        ("hypo", []),
        ("d2o", ["samples set against a rejected response"]),
        ("kto", ["responses in the roles mismatched"]),
    ],
)
def test_what_a_run_cannot_give_is_named(name: str, lacks: list[str]) -> None:
    assert lacking(named_loss(name)) == lacks


def test_every_loss_is_supported_or_lacks_something_by_name() -> None:
    for name in ROWS:
        loss = named_loss(name)
        needs = loss.needs
        lacks = needs.full_anchor or needs.labels == "sample" or "mismatched" in needs.others
        assert bool(lacking(loss)) == lacks


def test_a_recipe_is_refused_while_composing() -> None:
    config = compose(["experiment=demo"])
    config.algorithm.loss = {"name": "tdpo1"}
    (problem,) = problems(config)
    assert problem == (
        f"algorithm={config.algorithm.name}: loss tdpo1 needs the full logits of an anchor, "
        "which a run cannot give it yet"
    )
