"""Every recipe makes of its golden round what its paper says, and no two recipes make the same of everything."""

from __future__ import annotations

from itertools import combinations

import pytest

from loop.recipe import sampler_of, sources_of
from loop.recipes import recipe_files
from tests.loop.golden.core import CORE
from tests.loop.golden.family import FAMILY
from tests.loop.golden.kit import Round, play, policies, recipe, same_on
from tests.loop.golden.sketch import SKETCH

GOLDEN: dict[str, Round] = {**CORE, **FAMILY, **SKETCH}

TWINS = {("iterative_dpo_nll", "onerec_ipa"): "differ in K; OneRec's candidates are to come from a beam"}
"""Recipes that make the same of a judged group, and why they are two."""


def test_every_recipe_has_a_golden_round() -> None:
    assert sorted(GOLDEN) == sorted(one.name for one in recipe_files())


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_round_gives_these_examples_with_these_losses(name: str) -> None:
    played, expected = play(recipe(name), GOLDEN[name]), GOLDEN[name].examples
    losses = {example.example_id: loss for example, loss in zip(played.examples, played.losses, strict=True)}
    found = {("".join(one.response_ids), tuple(one.roles)): one for one in played.examples}
    assert len(found) == len(played.examples)
    assert set(found) == {(one.members, one.all_roles) for one in expected}
    for one in expected:
        example = found[one.members, one.all_roles]
        numbers = (example.strength, example.margin, example.weight, *example.labels)
        assert numbers == pytest.approx((one.strength, one.margin, one.weight, *one.labels), abs=1e-6), one.members
        assert example.stage == one.stage
        assert example.gain == (None if one.gain is None else pytest.approx(one.gain, abs=1e-6))
        assert losses[example.example_id] == pytest.approx(one.loss, rel=1e-8, abs=1e-5), one.members


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_group_holds_what_the_recipe_puts_into_groups(name: str) -> None:
    strategy, *_ = sampler_of(recipe(name))
    own: set[str] = {"train"} if strategy.name in ("samples", "refinement") else set()
    own |= {"refinement": {"node"}, "tree": {"node"}, "revision": {"revision"}}.get(strategy.name, set())
    others = {source.purpose for source in sources_of(recipe(name))}
    assert {told.purpose for told in GOLDEN[name].group.values()} == own | others


@pytest.mark.parametrize("name", GOLDEN)
def test_a_recipe_asks_for_these_policies(name: str) -> None:
    asked, golden = policies(recipe(name)), GOLDEN[name]
    assert (asked.begins, asked.anchors, asked.others) == (golden.begins, golden.anchors, golden.others)


def test_recipes_that_make_the_same_of_every_group_are_known() -> None:
    """Each is played on the other's golden round too; who else is in the group is part of a recipe."""
    found = []
    for one, other in combinations(sorted(GOLDEN), 2):
        if policies(recipe(one)) != policies(recipe(other)) or sources_of(recipe(one)) != sources_of(recipe(other)):
            continue
        if same_on(one, other, GOLDEN[one]) and same_on(one, other, GOLDEN[other]):
            found.append((one, other))
    assert found == sorted(TWINS), "two names for one recipe"
