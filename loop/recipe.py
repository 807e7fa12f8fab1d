"""A recipe's components, by name and bound to their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loop.config import AlgorithmConfig
from loop.errors import Refused
from loop.losses import Loss, named_loss
from loop.pairing import Rule, named_rule
from loop.pairing.found import Options


def loss_of(recipe: AlgorithmConfig) -> Loss:
    """The recipe's loss. Raises: Refused when its name or an option is unknown."""
    name, options = _split(recipe.loss)
    for option, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"loss {name}: {option}={value} must be a number")
    return named_loss(name, options)


def lacking(loss: Loss) -> list[str]:
    """What a loss must be given and neither learners nor samplers give yet."""
    needs = loss.needs
    return [
        *(["the full logits of an anchor"] if needs.full_anchor else []),
        *(["a value head"] if needs.value_head else []),
        *([f"responses in the roles {', '.join(needs.others)}"] if needs.others else []),
    ]


def rule_of(recipe: AlgorithmConfig) -> tuple[Rule, Options]:
    """The recipe's pairing rule and its options. Raises: Refused when its name or an option is unknown."""
    name, options = _split(recipe.pairing)
    return named_rule(name, options)


def _split(component: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    options = dict(component)
    if not isinstance(name := options.pop("name", None), str):
        raise Refused("it has no name")
    return name, options
