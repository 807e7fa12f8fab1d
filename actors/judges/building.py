"""Judges from their configuration, in the process that will ask them: models are loaded here, and what a kind needs is
imported here, because imports take seconds and memory in every replica."""

from __future__ import annotations

import json
from dataclasses import replace

from actors.judge import Judges
from actors.judges.engines import Engines, EnginesSpeaker
from loop.config import RunConfig
from loop.judge_config import (
    AskedConfig,
    Backend,
    EnsembleConfig,
    HostedConfig,
    ImplicitConfig,
    JudgeConfig,
    LlmConfig,
    MajorityConfig,
    MixtureConfig,
    PairModelConfig,
    RewardModelConfig,
    SelfConfig,
    VerifierConfig,
)
from loop.judge_files import members_of
from loop.judge_settings import settings_digest
from loop.judges.capabilities import asks_engines, examiner_of, is_certain
from loop.judges.comparing import Comparing
from loop.judges.ensemble import Ensemble
from loop.judges.hiding import Hiding
from loop.judges.judge import Judge
from loop.judges.majority import Majority
from loop.judges.meta import MetaJudge
from loop.judges.mixture import Mixture
from loop.judges.speaking import Speaker
from loop.judges.template import load_template
from loop.judges.text_judge import TextJudge
from loop.judges.verifier import verifier_of
from loop.prompts.tokenizer import load_tokenizer
from loop.recipe import learns_to_judge


def build_all(config: RunConfig, judge: JudgeConfig, engines: Engines) -> Judges:
    """The judge that training asks, the one of evaluation, and the one that compares judgements."""
    training, evaluation = build_judge(config, judge, engines), build_judge(config, examiner_of(config))
    return Judges(training, evaluation, _meta_judge(config, judge, engines))


def _meta_judge(config: RunConfig, judge: JudgeConfig, engines: Engines) -> MetaJudge | None:
    if not (isinstance(judge, SelfConfig) and judge.meta_template and learns_to_judge(config.algorithm, 1)):
        return None
    asking = build_judge(config, replace(judge, template=judge.meta_template), engines)
    sampling = json.dumps({"max_tokens": judge.max_tokens, "temperature": judge.temperature}, sort_keys=True)
    return MetaJudge(asking, load_template(judge.template), _markers(judge), sampling)


def build_judge(config: RunConfig, judge: JudgeConfig, engines: Engines | None = None) -> Judge:
    """A judge that hides what models thought, unless it is to see it; each member of a combined one as it is set.
    Without engines the policy is the model with which a run would begin."""
    built = _built(config, judge, engines)
    if members_of(judge):
        return built
    return Hiding(built, _markers(judge), settings_digest(judge) if isinstance(judge, HostedConfig) else "")


def _markers(judge: JudgeConfig) -> tuple[str, ...]:
    return () if judge.show_thinking else tuple(judge.thinking_markers)


def _built(config: RunConfig, judge: JudgeConfig, engines: Engines | None) -> Judge:
    match judge:
        case VerifierConfig():
            return Comparing(verifier_of(judge), is_certain(judge))
        case MajorityConfig():
            return Comparing(Majority(judge), is_certain(judge))
        case EnsembleConfig():
            return Ensemble(judge, {name: build_judge(config, one, engines) for name, one in judge.members.items()})
        case MixtureConfig():
            return Mixture(judge, {name: build_judge(config, one, engines) for name, one in judge.members.items()})
        case RewardModelConfig():
            from actors.judges.reward_model import RewardModel

            return Comparing(RewardModel(judge), is_certain(judge))
        case PairModelConfig():
            from actors.judges.pair_model import PairModel

            return PairModel(judge)
        case ImplicitConfig():
            from actors.judges.implicit import Implicit

            room = config.rollout.max_context - 1 if asks_engines(judge) else judge.max_context
            fitting = replace(judge, max_context=min(judge.max_context, room))
            return Comparing(Implicit(fitting, config.model, _speaker(config, engines)), is_certain(judge))
        case LlmConfig() if judge.backend is Backend.server:
            from loop.judges.remote.judge import RemoteJudge

            return _asked(judge, RemoteJudge(judge))
        case LlmConfig():
            return _hosted(judge, "llm")
        case SelfConfig():
            return _self_judge(config, judge, engines)
    raise AssertionError(f"no such kind of judge: {judge.kind}")


def _self_judge(config: RunConfig, judge: SelfConfig, engines: Engines | None) -> Judge:
    initial = replace(judge, model=config.model.path, revision=config.model.revision, dtype=config.model.dtype)
    if judge.model == "current" and (speaker := _speaker(config, engines)):
        fitting = replace(initial, max_context=min(judge.max_context, config.rollout.max_context))
        return _text_judge(fitting, speaker, "self-{policy}")
    return _hosted(initial if judge.model in ("current", "initial") else judge, "self")


def _hosted(judge: AskedConfig, kind: str) -> Judge:
    from actors.judges.hosts import speaker_of
    from actors.judges.models import model_version

    return _text_judge(judge, speaker_of(judge), f"{kind}-{model_version(judge.model, judge.revision)}")


def _speaker(config: RunConfig, engines: Engines | None) -> EnginesSpeaker | None:
    return EnginesSpeaker(engines, config.rollout.call_timeout_s) if engines is not None else None


def _text_judge(judge: AskedConfig, speaker: Speaker, name: str) -> Judge:
    template = load_template(judge.template)
    tokenizer = load_tokenizer(judge.model, judge.revision)
    return _asked(judge, TextJudge(judge, template, tokenizer, speaker, name))


def _asked(judge: AskedConfig, built: Judge) -> Judge:
    """A language model that gives scores compares by them."""
    return Comparing(built, is_certain(judge)) if load_template(judge.template).asks == "score" else built
