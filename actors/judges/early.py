"""What can be refused of judges before anything is started: templates that their models cannot follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loop.config import RunConfig
from loop.judge_config import AskedConfig, Backend, LlmConfig, PairHead, PairModelConfig, SelfConfig
from loop.judge_files import judges_of
from loop.judges.remote.judge import RemoteJudge
from loop.judges.speaking import Writing
from loop.judges.template import load_template
from loop.judges.text_judge import TextJudge
from loop.prompts.tokenizer import load_tokenizer


class Mute:
    """A speaker that is not asked anything."""

    def next_logprobs(
        self, inputs_T: Sequence[list[int]], tokens: Sequence[int], policy: str
    ) -> list[list[float] | None]:
        """See `Speaker`."""
        raise NotImplementedError

    def write(
        self, inputs_T: Sequence[list[int]], seeds: Sequence[int], writing: Writing, policy: str
    ) -> list[str | None]:
        """See `Speaker`."""
        raise NotImplementedError

    def usage(self) -> dict[str, float]:
        """See `Speaker`."""
        return {}


def check_judges(config: RunConfig) -> None:
    """Raises: Refused where a judge's model has no tokenizer here, its chat template does not take the judge's, a
    verdict is not one of its tokens, or the template leaves a question no room; where a server's URL is none, or such a
    server does not take the template."""
    for _, judge in judges_of(config):
        asked = judge.asked() if isinstance(judge, PairModelConfig) and judge.head is PairHead.tokens else judge
        if isinstance(asked, LlmConfig) and asked.backend is Backend.server:
            RemoteJudge(asked)
            continue
        if not isinstance(asked, AskedConfig):
            continue
        if isinstance(asked, SelfConfig) and asked.model in ("current", "initial"):
            asked = replace(asked, model=config.model.path, revision=config.model.revision)
        tokenizer = load_tokenizer(asked.model, asked.revision)
        TextJudge(asked, load_template(asked.template), tokenizer, Mute(), "")
