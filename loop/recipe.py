"""A recipe's components, by name and bound to their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loop.anchors import Options as AnchorOptions
from loop.anchors import anchor_options
from loop.config import AlgorithmConfig
from loop.errors import Refused
from loop.losses import Loss, named_loss
from loop.pairing import Rule, named_rule
from loop.pairing.found import Options
from loop.replay import data_shares


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
        *(["how certain each pair is"] if needs.certainty else []),
        *(["samples set against a rejected response"] if needs.labels == "sample" else []),
        *([f"responses in the roles {', '.join(needs.others)}"] if needs.others else []),
    ]


def rule_of(recipe: AlgorithmConfig) -> tuple[Rule, Options]:
    """The recipe's pairing rule and its options. Raises: Refused when its name or an option is unknown."""
    name, options = _split(recipe.pairing)
    return named_rule(name, options)


def anchors_of(recipe: AlgorithmConfig) -> list[tuple[str, AnchorOptions]]:
    """Kind and options of each anchor, in the loss's order. Raises: Refused for a kind or an option that is unknown."""
    named = [_split(one if isinstance(one, Mapping) else {"name": one}) for one in recipe.anchors]
    return [(kind, anchor_options(kind, options)) for kind, options in named]


def data_of(recipe: AlgorithmConfig) -> tuple[float, float]:
    """`first` and `decay` of `loop.replay.replayed`. Raises: Refused for a name or an option that is unknown."""
    name, options = _split(recipe.data)
    return data_shares(name, options)


def _split(component: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    options = dict(component)
    if not isinstance(name := options.pop("name", None), str):
        raise Refused(f"{dict(component)} has no name, as in {{name: NAME, OPTION: VALUE}}")
    return name, options
