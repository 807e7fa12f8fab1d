"""A recipe's components, by name and bound to their options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from loop.anchors import Options as AnchorOptions
from loop.anchors import anchor_options
from loop.config import AlgorithmConfig, Control
from loop.errors import Refused
from loop.losses import Loss, named_loss
from loop.pairing import RULES, Rule, named_rule
from loop.pairing.found import Options
from loop.plans import questions_per_group
from loop.records import Purpose
from loop.replay import data_shares
from loop.samplers import Options as SamplerOptions
from loop.samplers import Strategy, named_strategy
from loop.samplers.sources import Source, source_of
from loop.verdicts import COMPARED_ONLY, TAKE_PART


def loss_of(recipe: AlgorithmConfig) -> Loss:
    """The recipe's loss. Raises: Refused when its name or an option is unknown."""
    name, options = _split(recipe.loss)
    for option, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"loss {name}: {option}={value} must be a number")
    return named_loss(name, options)


def lacking(loss: Loss) -> list[str]:
    """What a loss must be given and neither learners nor any pairing rule give yet."""
    needs, roles = loss.needs, {role for rule in RULES.values() for role in rule.roles}
    others = [role for role in needs.others if role not in roles]
    return [
        *(["the full logits of an anchor"] if needs.full_anchor else []),
        *(["samples set against a rejected response"] if needs.labels == "sample" else []),
        *([f"responses in the roles {', '.join(others)}"] if others else []),
    ]


def sampler_of(recipe: AlgorithmConfig) -> tuple[Strategy, SamplerOptions, SamplerOptions]:
    """The recipe's sampling strategy, its options, and the sampling parameters that it sets. Raises: Refused when a
    name or an option is unknown."""
    name, options = _split(recipe.sampler)
    return named_strategy(name, options)


def sources_of(recipe: AlgorithmConfig) -> list[Source]:
    """What else belongs to a group. Raises: Refused for an entry that is none."""
    return [source_of(one) for one in recipe.others]


def group_size(recipe: AlgorithmConfig, purposes: Collection[Purpose] | None = None) -> int:
    """How many responses a group has at most; with `purposes`, how many of those are for these: what a strategy gives
    counts as the policy's samples."""
    strategy, options, _ = sampler_of(recipe)
    own = strategy.most(options, recipe.k) if purposes is None or "train" in purposes else 0
    return own + sum(source.k for source in sources_of(recipe) if purposes is None or source.purpose in purposes)


def questions_of(recipe: AlgorithmConfig) -> int:
    """How many questions the judge is asked about a group, at most."""
    return questions_per_group(recipe.plan, group_size(recipe, TAKE_PART), group_size(recipe, COMPARED_ONLY))


def samples_alone(recipe: AlgorithmConfig) -> bool:
    """Whether a round's responses are nothing but plain samples of the policy with which it begins."""
    return not recipe.others and recipe.sampler.get("name") == "samples" and not recipe.judge_pairs.rounds


def learns_to_judge(recipe: AlgorithmConfig, round: int) -> bool:
    """Whether a round makes pairs of the judge's own judgements. A control run whose judge says nothing makes none."""
    return round <= recipe.judge_pairs.rounds and recipe.control is Control.none


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
