"""The table of strategies."""

from __future__ import annotations

import pytest

from loop.errors import Refused
from loop.samplers import STRATEGIES, named_strategy


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("trie", {}, "no sampler named 'trie'.*tree"),
        ("tree", {"branch": 2}, "sampler tree has no option 'branch'"),
        ("tree", {"actions": 1}, "actions=1 must lie between 2 and 16"),
        ("tree", {"actions": 17}, "actions=17 must lie between 2 and 16"),
        ("tree", {"iterations": 2.5}, "iterations=2.5 must be a whole number"),
        ("tree", {"depth": 0}, "depth=0 must lie between 1 and 64"),
        ("refinement", {"keep": "two"}, "keep=two must be a number"),
        ("refinement", {"pass_score": float("nan")}, "pass_score=nan must lie between"),
        ("revision", {"k": 2}, "sampler revision has no option 'k'"),
    ],
)
def test_what_there_is_not_is_refused_with_one_sentence(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        named_strategy(name, options)


@pytest.mark.parametrize("name", STRATEGIES)
def test_defaults_are_within_bounds_and_sampling_options_go_beside_them(name: str) -> None:
    own = {option: value for option, value in STRATEGIES[name].options.items() if option in STRATEGIES[name].bounds}
    strategy, options, sampling = named_strategy(name, {**own, "temperature": 0.9})
    assert (
        options == STRATEGIES[name].options
        and sampling == {"temperature": 0.9}
        and set(strategy.bounds) <= set(options)
    )


def test_how_many_steps_a_group_takes_follows_from_the_options() -> None:
    def steps(name: str, **options: float) -> int:
        strategy, complete, _ = named_strategy(name, options)
        return strategy.steps(complete)

    assert (steps("samples"), steps("revision"), steps("refinement", depth=2), steps("tree", iterations=5)) == (
        1,
        1,
        3,
        5,
    )
