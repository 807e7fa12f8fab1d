"""What types cannot say: combinations and ranges that make no sense are refused while composing, with a sentence that
names them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from loop.config import Plan, RunConfig
from loop.errors import Refused
from loop.identity import meaning
from loop.judge_config import VerifierConfig
from loop.judge_problems import judge_problems, starts_vllm
from loop.judges.capabilities import asks_engines, capabilities_of, examiner_of
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
    "gate.every": 1,
    "gate.tolerance": 0,
    "gate.max_rejections": 1,
    "diagnostics.every": 0,
    "diagnostics.probe": 0,
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
    "evaluate.hook_timeout_s",
    "gate.confidence",
    "gate.shrink",
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
    "gate.tolerance",
    "gate.confidence",
    "gate.shrink",
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
    yield from _evaluation(config)


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


def _evaluation(config: RunConfig) -> Iterator[str]:
    if config.gate.enabled and config.evaluate.gate_share == 0:
        yield "evaluate.gate_share=0.0 leaves no prompt for the gate: gate=off keeps every round's policy without one"
    if config.gate.enabled and not 0.5 <= config.gate.confidence < 1:
        yield f"gate.confidence={config.gate.confidence}: must be at least 0.5 and below 1"
    if config.evaluate.hook is not None and not config.evaluate.hook.strip():
        yield "evaluate.hook is empty: name a command, or leave it out"
    if (judge := config.evaluate.judge) is None:
        return
    if asks_engines(judge):
        yield f"evaluate.judge={judge.name} changes with the policy: held-out answers need a judge that stays as it is"
    for key, other in (("judge", config.judge), *config.later_judges.items()):
        if not isinstance(judge, VerifierConfig) and meaning(judge) == meaning(other):
            yield f"evaluate.judge is {key}, which training asks: what a policy learns from cannot tell how good it is"
        if starts_vllm(judge) and starts_vllm(other):
            yield (
                f"evaluate.judge and {key} would each start vLLM in one process, which it does not bear: give one of "
                "them backend=transformers, or put it at a server"
            )


def _places(config: RunConfig) -> Iterator[str]:
    if not config.prompts.sources:
        yield "prompts.sources is empty: name a file, as in 'prompts.sources=[{path: prompts.jsonl}]'"
    for source in [*config.prompts.sources, *config.prompts.held_out, *config.prompts.retention]:
        if source.weight <= 0:
            yield f"prompts.sources: weight {source.weight} of {source.path} must be above 0"
