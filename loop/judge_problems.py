"""What types cannot say of a judge's configuration, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from loop.config import Plan, RunConfig
from loop.errors import Refused
from loop.judge_config import (
    AskedConfig,
    Backend,
    CheckConfig,
    Disagreement,
    EnsembleConfig,
    HostedConfig,
    ImplicitConfig,
    JudgeConfig,
    LlmConfig,
    MajorityConfig,
    MixtureConfig,
    PairHead,
    PairModelConfig,
    ReadBy,
    SelfConfig,
    ServerConfig,
    VerifierConfig,
)
from loop.judge_files import judges_of, members_of, parts_of
from loop.judge_schedule import schedule_problems
from loop.judges.calibration import level_problem
from loop.judges.capabilities import capabilities_of
from loop.judges.final_answer import EXTRACT
from loop.judges.mixture import REWARD
from loop.judges.remote.sending import check_url
from loop.judges.template import load_template
from loop.judges.verifier import verifier_problem


def judge_problems(config: RunConfig) -> Iterator[str]:
    """Every problem of a configuration's judges."""
    yield from schedule_problems(config)
    found = list(problems_of_judges(config))
    yield from found
    if not found:  # what a judge can depends on its template
        for judge in (config.judge, *config.later_judges.values()):
            yield from _suits(config, judge)
    yield from same_at_first(config.judge)


def same_at_first(judge: JudgeConfig) -> Iterator[str]:
    """What is wrong with a judge that is asked when the current policy still is the initial one."""
    if isinstance(judge, ImplicitConfig) and {judge.model, judge.weak} == {"current", "initial"}:
        yield (
            "judge.model and judge.weak: in the first round the current policy is the initial one, and every score "
            "would be 0; give a judge.weak, or let this judge begin later (+judge@later_judges.NAME=implicit)"
        )


def problems_of_judges(config: RunConfig) -> Iterator[str]:
    """Those that do not depend on the recipe or the schedule."""
    readable = True
    for key, judge in judges_of(config):
        yield from _ranges(key, judge)
        yield from _check(key, judge)
        if isinstance(judge, VerifierConfig) and (problem := verifier_problem(judge)):
            yield f"{key}: {problem}"
        if isinstance(judge, AskedConfig | PairModelConfig):
            found = list(_template(key, judge))
            readable = readable and not found
            yield from found
        if isinstance(judge, HostedConfig):
            yield from _host(key, judge)
    if readable:
        for key, judge in judges_of(config):
            yield from _members(key, judge)


def _check(key: str, judge: JudgeConfig) -> Iterator[str]:
    if problem := level_problem(judge.check.levels):
        yield f"{key}.check.levels: {problem}"
    if judge.check.file is not None and not Path(judge.check.file).is_file():
        yield f"{key}.check.file={judge.check.file}: no such file"
    if not re.fullmatch(r"[\w.-]+", judge.name):
        yield f"{key}.name={judge.name!r}: must be letters, digits, `_`, `.` and `-`: folders are named after it"
    if len(judge.thinking_markers) != 2 or not all(judge.thinking_markers):
        yield f"{key}.thinking_markers={judge.thinking_markers}: must be an opening and a closing marker"
    part = key == "evaluate.judge" or ".members." in key
    if part and (judge.check, judge.max_failed) != (CheckConfig(), JudgeConfig.max_failed):
        yield f"{key}: check and max_failed are the run's judge's, a part of one has none"
    if not key.startswith("later_judges.") and judge.from_round != 1:
        yield f"{key}.from_round={judge.from_round}: only judges of later_judges begin in a round"


AT_LEAST: dict[str, float] = {
    "replicas": 1,
    "check.prompts": 0,
    "max_context": 2,
    "batch": 1,
    "max_tokens": 1,
    "output": 0,
    "temperature": 0,
    "min_mass": 0,
    "max_failed": 0,
    "penalty": 0,
    "max_spread": 0,
    "server.concurrency": 1,
    "server.attempts": 1,
    "server.breaker_failures": 1,
    "server.breaker_pause_s": 0,
    "server.price_prompt": 0,
    "server.price_completion": 0,
}
ABOVE_ZERO = ("start_timeout_s", "call_timeout_s", "kv_cache_gb", "gpu_memory", "beta", "server.timeout_s")
AT_MOST_ONE = ("max_failed", "gpu_memory", "min_mass")
FINITE = (*AT_LEAST, *ABOVE_ZERO, "passes")


def _ranges(key: str, judge: JudgeConfig) -> Iterator[str]:
    for name in FINITE:
        value = _get(judge, name)
        if value is None:
            continue
        if not isfinite(value):
            yield f"{key}.{name}={value}: must be a finite number"
        elif value < AT_LEAST.get(name, value):
            yield f"{key}.{name}={value}: must be at least {AT_LEAST[name]}"
        elif name in ABOVE_ZERO and value <= 0:
            yield f"{key}.{name}={value}: must be above 0"
        elif name in AT_MOST_ONE and value > 1:
            yield f"{key}.{name}={value}: must lie between 0 and 1"


def _get(judge: JudgeConfig, name: str) -> float | None:
    value: object = judge
    for part in name.split("."):
        value = getattr(value, part, None)
    return value if isinstance(value, int | float) else None


def _members(key: str, judge: JudgeConfig) -> Iterator[str]:
    members = members_of(judge)
    if isinstance(judge, EnsembleConfig) and len(members) < 2:
        yield f"{key}.members: an ensemble needs two judges or more (+judge@{key}.members.NAME=KIND)"
    if isinstance(judge, MixtureConfig):
        if REWARD not in members or len(members) < 2:
            yield (
                f"{key}.members: a mixture needs `{REWARD}`, which ranks, and a constraint "
                f"(+judge@{key}.members.NAME=KIND)"
            )
        for name, member in members.items():
            if name != REWARD and not capabilities_of(member).pointwise:
                yield f"{key}.members.{name}: a constraint scores single responses, and this judge only compares two"
    if isinstance(judge, MajorityConfig) and judge.extract not in EXTRACT:
        yield f"{key}.extract={judge.extract}: there are {', '.join(EXTRACT)}"
    on_vllm = [name for name, member in members.items() if starts_vllm(member)]
    if len(on_vllm) > 1:
        yield (
            f"{key}.members: {' and '.join(on_vllm)} would each start vLLM in one process, which it does not "
            "bear: give all but one backend=transformers, or put them at a server"
        )


def starts_vllm(judge: JudgeConfig) -> bool:
    """Whether a judge, or one that it is made of, starts an engine of its own."""
    if isinstance(judge, SelfConfig) and judge.model == "current":
        return False
    hosted = isinstance(judge, HostedConfig) and judge.backend is Backend.vllm
    return hosted or any(starts_vllm(member) for member in members_of(judge).values())


def _template(key: str, judge: AskedConfig | PairModelConfig) -> Iterator[str]:
    if isinstance(judge, PairModelConfig) and judge.head is PairHead.classifier:
        return
    if judge.template is None:
        yield f"{key}.template is not set"
        return
    try:
        template = load_template(judge.template)
    except Refused as error:
        yield f"{key}.template: {error}"
        return
    if isinstance(judge, PairModelConfig) and template.asks != "preference":
        yield f"{key}.template={judge.template}: asks for a score, and a preference model compares two responses"


def _host(key: str, judge: HostedConfig) -> Iterator[str]:
    if not judge.model:
        yield f"{key}.model is not set: give it as {key}.model=MODEL"
    served = judge.backend is Backend.server
    if served and not isinstance(judge, LlmConfig):
        yield f"{key}.backend=server: only judge=llm can be asked at a server"
    if isinstance(judge, LlmConfig) and served:
        yield from _server(key, judge.server)
    if not served and Path(judge.model).is_file():
        yield f"{key}.model={judge.model}: must be a folder, or a name on a hub, not a file"
    if isinstance(judge, ImplicitConfig) and judge.backend is not Backend.transformers:
        yield f"{key}.backend={judge.backend.value}: judge=implicit computes on transformers"
    if (
        isinstance(judge, AskedConfig)
        and judge.backend is Backend.transformers
        and judge.read is not ReadBy.probabilities
    ):
        yield f"{key}.read={judge.read.value}: on transformers a judge reads probabilities; text needs vllm or a server"
    if isinstance(judge, ImplicitConfig) and (judge.model, judge.revision) == (judge.weak, judge.weak_revision):
        yield f"{key}.model and {key}.weak are both {judge.model}: every score would be 0"
    if isinstance(judge, AskedConfig) and judge.read is ReadBy.text and judge.max_tokens >= judge.max_context:
        yield f"{key}.max_tokens={judge.max_tokens} leaves no room for a question in max_context={judge.max_context}"


def _server(key: str, server: ServerConfig) -> Iterator[str]:
    """Without values, which may be secrets that stand in the wrong place."""
    if not server.url:
        yield f"{key}.server.url is not set: give the server's address, as in http://localhost:8000/v1"
        return
    try:
        check_url(server.url)
    except Refused as error:
        yield f"{key}: {error}"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", server.key_variable):
        yield f"{key}.server.key_variable: must be the name of an environment variable, not the key itself"


def _suits(config: RunConfig, judge: JudgeConfig) -> Iterator[str]:
    recipe = config.algorithm
    can = capabilities_of(judge)
    names = f"algorithm={recipe.name} with judge={judge.name}"
    if recipe.plan.name is Plan.pointwise and not can.pointwise:
        yield (
            f"{names}: the recipe asks for a score of each response, and this judge only compares two; "
            "algorithm.plan.name=all_pairs asks for comparisons, whose win rates serve as scores"
        )
    told = (Disagreement.strength, Disagreement.margin)
    if isinstance(judge, EnsembleConfig) and recipe.plan.name is Plan.pointwise and judge.disagreement in told:
        yield (
            f"{names}: judge.disagreement={judge.disagreement.value} is of preferences, and the recipe asks for "
            "scores; abstain and ignore suit both"
        )
    if recipe.pairing.get("length_penalty") and any(isinstance(one, MixtureConfig) for _, one in parts_of("", judge)):
        yield f"{names}: algorithm.pairing.length_penalty could lift a response above the constraints' veto"
