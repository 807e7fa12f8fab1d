"""Sampling: which responses make up a group. One file per strategy; `STRATEGIES` is the table of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loop.errors import Refused, nearest
from loop.samplers.refinement import REFINEMENT
from loop.samplers.revision import REVISION
from loop.samplers.strategy import NONE, SAMPLES, Draw, Options, Strategy, Values
from loop.samplers.tree import TREE

__all__ = ["SAMPLING_OPTIONS", "STRATEGIES", "Draw", "Options", "Strategy", "Values", "named_strategy"]

STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in (SAMPLES, NONE, REFINEMENT, TREE, REVISION)}

SAMPLING_OPTIONS: dict[str, tuple[float, float]] = {
    "temperature": (1e-3, 100.0),
    "top_p": (1e-3, 1.0),
    "top_k": (0, 1e6),
}
"""Sampling parameters that a recipe may set, and where they must lie."""


def named_strategy(name: str, options: Mapping[str, Any] | None = None) -> tuple[Strategy, Options, Options]:
    """The strategy of that name, its options with defaults filled in, and the sampling parameters among those given.
    Raises: Refused for a name, an option or a value that there is not."""
    if name not in STRATEGIES:
        raise Refused(
            f"there is no sampler named {name!r}{nearest(name, STRATEGIES)}; there are {', '.join(STRATEGIES)}"
        )
    strategy, given = STRATEGIES[name], dict(options or {})
    allowed = {**SAMPLING_OPTIONS, **strategy.bounds}
    for option, value in given.items():
        said = f"sampler {name}: {option}={value}"
        if option not in allowed:
            raise Refused(f"sampler {name} has no option {option!r}; it has {', '.join(sorted(allowed))}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"{said} must be a number")
        low, high = allowed[option]
        if not low <= value <= high:  # refuses nan too
            raise Refused(f"{said} must lie between {low:g} and {high:g}")
        whole = option == "top_k" or isinstance(strategy.options.get(option), int)
        if whole and value % 1:
            raise Refused(f"{said} must be a whole number")
    sampling = {option: given.pop(option) for option in SAMPLING_OPTIONS if option in given}
    return strategy, {**strategy.options, **given}, sampling
