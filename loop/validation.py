"""What types cannot say: combinations and ranges that make no sense are refused while composing, with a sentence that
names them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from loop.config import Plan, RunConfig
from loop.errors import Refused
from loop.judge_problems import judge_problems
from loop.judges.capabilities import capabilities_of, examiner_of
from loop.recipe import sources_of
from loop.recipe_check import recipe_problems

AT_LEAST: dict[str, float] = {
    "rounds": 1,
    "algorithm.k": 1,
    "algorithm.plan.repeats": 1,
    "algorithm.judge_pairs.rounds": 0,
    "algorithm.judge_pairs.max_tokens": 1,
    "prompts.per_round": 1,
    "prompts.held_out_size": 2,
    "rollout.max_tokens": 1,
    "rollout.min_tokens": 0,
    "rollout.top_k": 0,
    "rollout.replicas": 1,
    "rollout.shard_prompts": 1,
    "rollout.max_concurrent": 1,
    "learner.ranks": 1,
    "learner.epochs": 1,
    "learner.batch_examples": 1,
    "learner.micro_batch_tokens": 1,
    "learner.logprob_chunk": 1,
    "learner.max_bad_steps": 1,
    "learner.max_grad_norm": 0,
    "learner.weight_decay": 0,
    "push.probe_texts": 1,
    "evaluate.every": 1,
    "evaluate.samples": 1,
    "export.every": 1,
    "export.keep": 0,
    "checkpoint.every": 1,
    "checkpoint.steps": 0,
    "checkpoint.keep": 1,
    "ledger.min_rows": 0,
    "ledger.max_s": 0,
    "fleet.max_restarts": 0,
    "fleet.grace_s": 0,
}
ABOVE_ZERO = (
    "rollout.temperature",
    "learner.lr",
    "learner.eps",
    "push.tolerance",
    "push.max_store_gb",
    "rollout.kv_cache_gb",
    "rollout.gpu_memory",
    "cluster.object_store_gb",
    "rollout.call_timeout_s",
    "rollout.start_timeout_s",
    "learner.call_timeout_s",
    "learner.start_timeout_s",
    "learner.collective_timeout_s",
    "fleet.straggler_s",
    "algorithm.keep",
)
SHARES = (
    "algorithm.keep",
    "rollout.top_p",
    "learner.warmup",
    "evaluate.gate_share",
    "rollout.gpu_memory",
)


def validate(config: RunConfig) -> RunConfig:
    """The configuration itself. Raises: Refused with the first problem found."""
    for problem in problems(config):
        raise Refused(problem)
    return config


def problems(config: RunConfig) -> Iterator[str]:
    """Every problem of a configuration, one sentence each."""
    yield from _ranges(config)
    yield from recipe_problems(config)
    yield from judge_problems(config)
    yield from _sampling(config)
    yield from _places(config)


def required_columns(config: RunConfig) -> list[str]:
    """The prompt columns that recipe and judge cannot do without."""
    recipe = config.algorithm
    judges = (config.judge, *config.later_judges.values()) if recipe.plan.name is not Plan.none else ()
    answers = ["answer"] if any(capabilities_of(judge).needs_reference_answer for judge in judges) else []
    given = [source.column for source in sources_of(recipe) if source.column]
    return sorted({*recipe.requires, *given, *answers})


def held_out_columns(config: RunConfig) -> list[str]:
    """The columns of held-out prompts that evaluation cannot do without."""
    return ["answer"] if capabilities_of(examiner_of(config)).needs_reference_answer else []


def value_of(config: object, key: str) -> float:
    """The value under a dotted key."""
    for name in key.split("."):
        config = getattr(config, name)
    assert isinstance(config, int | float)
    return config


def _ranges(config: RunConfig) -> Iterator[str]:
    for key in (*AT_LEAST, *ABOVE_ZERO, *SHARES):
        if not math.isfinite(value_of(config, key)):
            yield f"{key}={value_of(config, key)}: must be a finite number"
    for key, least in AT_LEAST.items():
        if value_of(config, key) < least:
            yield f"{key}={value_of(config, key)}: must be at least {least:g}"
    for key in ABOVE_ZERO:
        if value_of(config, key) <= 0:
            yield f"{key}={value_of(config, key)}: must be above 0"
    for key in SHARES:
        if not 0 <= value_of(config, key) <= 1:
            yield f"{key}={value_of(config, key)}: must lie between 0 and 1"
    if config.learner.zero_stage not in (0, 1, 2, 3):
        yield f"learner.zero_stage={config.learner.zero_stage}: DeepSpeed has stages 0, 1, 2 and 3"
    if len(config.learner.betas) != 2 or not all(0 <= b < 1 for b in config.learner.betas):
        yield f"learner.betas={config.learner.betas}: must be two numbers in [0, 1)"


def _sampling(config: RunConfig) -> Iterator[str]:
    rollout = config.rollout
    if rollout.max_tokens >= rollout.max_context:
        yield (
            f"rollout.max_tokens={rollout.max_tokens} leaves no room for a prompt in "
            f"rollout.max_context={rollout.max_context}"
        )
    if rollout.min_tokens > rollout.max_tokens:
        yield f"rollout.min_tokens={rollout.min_tokens} is above rollout.max_tokens={rollout.max_tokens}"
    if rollout.top_p == 0:
        yield "rollout.top_p=0.0: must be above 0"


def _places(config: RunConfig) -> Iterator[str]:
    if not config.prompts.sources:
        yield "prompts.sources is empty: name a file, as in 'prompts.sources=[{path: prompts.jsonl}]'"
    for source in [*config.prompts.sources, *config.prompts.held_out]:
        if source.weight <= 0:
            yield f"prompts.sources: weight {source.weight} of {source.path} must be above 0"
