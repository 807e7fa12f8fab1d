"""Whether what makes up a recipe's groups fits the rest of it: strategy, others, and rounds that look ahead."""

from __future__ import annotations

from collections.abc import Iterator

from loop.config import AlgorithmConfig, Control, Plan, RunConfig, StartFrom
from loop.pairing import Rule
from loop.recipe import group_size, loss_of, rule_of, sampler_of, sources_of
from loop.samplers import Options

PAST = ("magnet", "random_past")
"""Policies that may be any earlier round's."""

SIDES = ("chosen", "rejected")
"""Purposes of others that nobody judges: they are sides of a pair as they stand."""

ALONE = ("desirable", "kept")
"""Labels of a response that its own judgement says, so that a group of one will do."""


def sampling_problems(config: RunConfig, rule: Rule) -> Iterator[str]:
    """What does not fit, one sentence each. Raises: Refused for a sampler or others that there are not."""
    recipe = config.algorithm
    strategy, options, _ = sampler_of(recipe)
    steps = strategy.steps(options)
    if steps > 1 and recipe.plan.name is not Plan.pointwise:
        yield (
            f"algorithm={recipe.name}: sampler {strategy.name} goes on from scores, "
            f"which the plan pointwise gives, not {recipe.plan.name.value}"
        )
    if steps > 1 and recipe.control is Control.shuffled:
        yield (
            f"algorithm={recipe.name}: sampler {strategy.name} goes on from the judge's scores, which "
            "algorithm.control=shuffled leaves as they are"
        )
    if steps == 1 and group_size(recipe) < 2 and rule.labels not in ALONE:
        yield (
            f"algorithm={recipe.name}: pairing {rule.name} needs two responses, and algorithm.k={recipe.k} without "
            "algorithm.others gives one"
        )
    yield from _alike(recipe, options)
    if strategy.name == "tree":
        yield from _tree(config, options)
    yield from _others(config, rule)
    if recipe.look_ahead:
        yield from _look_ahead(config)


def _alike(recipe: AlgorithmConfig, options: Options) -> Iterator[str]:
    """A rule that reads a strategy's groups rebuilds what the strategy saw."""
    _, paired = rule_of(recipe)
    for option in sorted(set(options) & set(paired)):
        if options[option] != paired[option]:
            yield (
                f"algorithm={recipe.name}: algorithm.pairing.{option}={paired[option]} must be that of the sampler, "
                f"{options[option]}"
            )


def _tree(config: RunConfig, options: Options) -> Iterator[str]:
    recipe, rollout = config.algorithm, config.rollout
    if rollout.stop:
        yield f"algorithm={recipe.name}: sampler tree ends its steps at line ends, so rollout.stop must be empty"
    if (before := (options["depth"] - 1) * options["step_tokens"]) >= rollout.max_tokens:
        yield (
            f"algorithm={recipe.name}: the steps before the last one may take {before:g} tokens "
            f"(algorithm.sampler.step_tokens, depth) and leave none of rollout.max_tokens={rollout.max_tokens}"
        )


def _others(config: RunConfig, rule: Rule) -> Iterator[str]:
    recipe, sources = config.algorithm, sources_of(config.algorithm)
    if sum(source.policy == "mixture" for source in sources) > 1:
        yield f"algorithm={recipe.name}: algorithm.others names more than one mixture"
    for source in sources:
        if source.policy in PAST and config.export.every != 1:
            yield (
                f"algorithm={recipe.name}: others of policy {source.policy} are sampled from exported checkpoints, "
                "so export.every must be 1"
            )
        if source.purpose in SIDES and rule.reads != "nothing":
            yield (
                f"algorithm={recipe.name}: others as {source.purpose} are sides of given pairs, and pairing "
                f"{rule.name} reads {rule.reads}; pairing given takes them"
            )
    yield from _missing(recipe, rule)


def _missing(recipe: AlgorithmConfig, rule: Rule) -> Iterator[str]:
    strategy, _, _ = sampler_of(recipe)
    purposes = {source.purpose for source in sources_of(recipe)}
    if strategy.name == "revision" and not purposes >= {*SIDES}:
        yield f"algorithm={recipe.name}: sampler revision needs others as chosen and as rejected"
    elif rule.reads == "nothing" and not purposes & {*SIDES}:
        yield (
            f"algorithm={recipe.name}: pairing {rule.name} takes what is given, and algorithm.others names nothing "
            "as chosen or rejected"
        )
    if "on_policy" in loss_of(recipe).needs.others and strategy.name == "none":
        yield f"algorithm={recipe.name}: its loss needs samples of the policy, and sampler none has none"
    if "explored" in rule.roles and "explored" not in purposes:
        yield (
            f"algorithm={recipe.name}: pairing {rule.name} sets samples against explored ones, and algorithm.others "
            "names none, as in {policy: initial, as: explored}"
        )


def _look_ahead(config: RunConfig) -> Iterator[str]:
    recipe = config.algorithm
    if config.rounds % 2:
        yield (
            f"algorithm={recipe.name}: every other round looks ahead, and the last one must not: "
            f"rounds={config.rounds} must be even"
        )
    for key, every in (("checkpoint.every", config.checkpoint.every), ("export.every", config.export.every)):
        if every != 1:
            yield f"algorithm={recipe.name}: a round goes back to where another began, so {key} must be 1"
    if config.checkpoint.keep == 1:
        yield f"algorithm={recipe.name}: a round goes back to where another began, so checkpoint.keep must be above 1"
    if recipe.start_from is StartFrom.initial:
        yield f"algorithm={recipe.name}: with look_ahead a round begins where another began, not at start_from=initial"
