"""What can be refused of judges before anything is started: models of another kind, templates that they cannot follow,
files of pairs that a check cannot use."""

from __future__ import annotations

from dataclasses import replace

from actors.judges.models import (
    CLASSIFIER,
    LANGUAGE_MODEL,
    end_token,
    ends_of,
    model_config,
    require_output,
    require_pair,
)
from loop.config import RunConfig
from loop.judge_config import (
    AskedConfig,
    Backend,
    HostedConfig,
    ImplicitConfig,
    LlmConfig,
    PairHead,
    PairModelConfig,
    RewardModelConfig,
    SelfConfig,
)
from loop.judge_files import ROLES, judges_of
from loop.judges.calibration_pairs import check_file
from loop.judges.capabilities import asks_engines, capabilities_of, is_checked
from loop.judges.remote.judge import RemoteJudge
from loop.judges.template import load_template
from loop.judges.text_judge import manner_of
from loop.prompts.tokenizer import load_tokenizer


def check_judges(config: RunConfig) -> None:
    """Raises: Refused where a judge's model is none of its kind, has too few positions or outputs, no safetensors or no
    tokenizer; where its chat template does not take the judge's, a verdict is not one of its tokens, or the template
    leaves a question no room; where a server's URL is none, or such a server does not take the template; where a file
    of pairs does not read, or lacks answers that the judge needs."""
    for key, judge in judges_of(config):
        if isinstance(judge, HostedConfig):
            _check_hosted(config, key, judge)
    for judge in (config.judge, *config.later_judges.values()):
        if judge.check.file is not None and is_checked(judge):
            check_file(judge.check.file, capabilities_of(judge).needs_reference_answer)


def _check_hosted(config: RunConfig, key: str, judge: HostedConfig) -> None:
    asked = judge.asked() if isinstance(judge, PairModelConfig) and judge.head is PairHead.tokens else judge
    if isinstance(asked, AskedConfig):
        _check_asked(config, key, asked)
    elif isinstance(asked, ImplicitConfig):
        _check_implicit(config, key, asked)
    else:
        outputs = int(model_config(asked, CLASSIFIER, key).num_labels)
        if isinstance(asked, RewardModelConfig):
            require_output(asked, outputs, key)
        if isinstance(asked, PairModelConfig):
            require_pair(asked, outputs, key)
        load_tokenizer(asked.model, asked.revision)


def _check_asked(config: RunConfig, key: str, judge: AskedConfig) -> None:
    if isinstance(judge, LlmConfig) and judge.backend is Backend.server:
        RemoteJudge(judge)
        return
    asked = judge
    if isinstance(judge, SelfConfig) and judge.model in ROLES:
        asked = replace(judge, model=config.model.path, revision=config.model.revision)
    if asks_engines(judge):  # of which the run's own check knows that they suit the model
        asked = replace(asked, max_context=min(judge.max_context, config.rollout.max_context))
    else:
        model_config(asked, LANGUAGE_MODEL, key)
    manner_of(asked, load_template(asked.template), load_tokenizer(asked.model, asked.revision))


def _check_implicit(config: RunConfig, key: str, judge: ImplicitConfig) -> None:
    room = config.rollout.max_context - 1 if asks_engines(judge) else judge.max_context
    for model, revision in ((judge.model, judge.revision), (judge.weak, judge.weak_revision)):
        policy = (config.model.path, config.model.revision)
        path, revision = policy if model in ROLES else (model, revision)
        one = replace(judge, model=path, revision=revision, max_context=min(judge.max_context, room))
        model_config(one, LANGUAGE_MODEL, key)
        end_token(load_tokenizer(path, revision), ends_of(path, revision))
