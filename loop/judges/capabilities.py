"""What a judge can answer and what it needs, by its configuration, so that a recipe can refuse it while composing."""

from __future__ import annotations

from dataclasses import dataclass

from loop.config import RunConfig
from loop.judge_config import (
    AskedConfig,
    Backend,
    HostedConfig,
    ImplicitConfig,
    JudgeConfig,
    JudgeKind,
    MixtureConfig,
    PairModelConfig,
    SelfConfig,
    VerifierConfig,
    VerifierRule,
)
from loop.judge_files import members_of, parts_of
from loop.judges.mixture import REWARD
from loop.judges.template import load_template
from loop.judges.verifier import needs_answer


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Whether a judge scores single responses, and what it needs from the prompts. Every judge compares two: one that
    scores does so by its scores (`loop.judges.comparing`)."""

    pointwise: bool
    needs_reference_answer: bool


def capabilities_of(judge: JudgeConfig) -> Capabilities:
    """Of a combined judge: what all its members can; of a mixture, whose constraints score in any case, what the one
    that ranks can. Raises: Refused when its template cannot be read."""
    if members := members_of(judge):
        each = {name: capabilities_of(member) for name, member in members.items()}
        asked = [each[REWARD]] if isinstance(judge, MixtureConfig) and REWARD in each else list(each.values())
        return Capabilities(
            all(one.pointwise for one in asked),
            any(one.needs_reference_answer for one in each.values()),
        )
    return Capabilities(_scores(judge), _needs_answer(judge))


def gives_gold(config: RunConfig) -> bool:
    """Whether held-out answers have scores that say how good they are, from 0 to 1: those of a verifier."""
    return isinstance(examiner_of(config), VerifierConfig)


def is_certain(judge: JudgeConfig) -> bool:
    """Whether the better one of two scores of this judge is better for sure, not with a probability."""
    return judge.kind in (JudgeKind.verifier, JudgeKind.majority)


def is_checked(judge: JudgeConfig) -> bool:
    """Whether a judge answers questions of known answer before it is trusted. Pairs made from bare reference answers
    say nothing of a judge of form or of majorities; a file of pairs may."""
    suited = judge.check.file is not None or all(_knows_answers(part) for _, part in parts_of("", judge))
    return judge.check.prompts > 0 and suited


def _knows_answers(judge: JudgeConfig) -> bool:
    if isinstance(judge, VerifierConfig):
        return judge.rule in (VerifierRule.exact, VerifierRule.normalised, VerifierRule.math)
    return judge.kind is not JudgeKind.majority


def _scores(judge: JudgeConfig) -> bool:
    if isinstance(judge, PairModelConfig):
        return False
    return load_template(judge.template).asks == "score" if isinstance(judge, AskedConfig) else True


def _needs_answer(judge: JudgeConfig) -> bool:
    if isinstance(judge, VerifierConfig):
        return needs_answer(judge)
    return isinstance(judge, AskedConfig) and load_template(judge.template).shows_reference


def asks_engines(judge: JudgeConfig) -> bool:
    """Whether a judge asks the policy's own engines."""
    if isinstance(judge, SelfConfig):
        return judge.model == "current"
    if isinstance(judge, ImplicitConfig):
        return "current" in (judge.model, judge.weak)
    return any(asks_engines(member) for member in members_of(judge).values())


def needs_device(judge: JudgeConfig) -> bool:
    """Whether a judge hosts a model itself."""
    if isinstance(judge, ImplicitConfig):
        return (judge.model, judge.weak) != ("current", "current")
    if isinstance(judge, HostedConfig):
        return judge.backend is not Backend.server and not asks_engines(judge)
    return any(needs_device(member) for member in members_of(judge).values())


def hosting(judge: JudgeConfig, config: RunConfig) -> int:
    """How many of its replicas host a model, of its own or of the judge of evaluation beside it: all or none."""
    return judge.replicas if needs_device(judge) or needs_device(examiner_of(config)) else 0


def examiner_of(config: RunConfig) -> JudgeConfig:
    """What judges held-out answers: the configured one, else the run's judge where that is a verifier, else exact
    comparison."""
    judge = config.judge
    if config.evaluate.judge is not None:
        return config.evaluate.judge
    if isinstance(judge, VerifierConfig):
        return judge
    return VerifierConfig("verifier", JudgeKind.verifier, thinking_markers=judge.thinking_markers)
