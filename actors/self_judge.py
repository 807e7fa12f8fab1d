"""The policy as its own judge: pairwise verdicts from the engines that hold its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from actors.calls import wait
from loop.config import JudgeConfig, RunConfig, Template
from loop.judges.judge import Asked, Reply
from loop.judges.verdict_token import check_template, render, reply, verdict_tokens
from loop.prompts.encoding import encode
from loop.prompts.tokenizer import load_tokenizer
from loop.records import digest_of

BATCH = 256
"""Questions in one request to an engine."""

TOO_LONG = Reply("the question is longer than the model's context", "failed", None)


class SelfJudge:
    """P(first is better) from the probabilities of the two verdict tokens after the judge's prompt, by the weights that
    the engines serve. Raises: Refused when a label is not one token of the policy's vocabulary."""

    def __init__(self, config: RunConfig, engines: Sequence[Any]) -> None:
        judge: JudgeConfig = config.judge
        assert judge.template is not None, "validated"
        self.template = check_template(Path(judge.template).read_text(), judge.template)
        self.tokenizer = load_tokenizer(config.model.path, config.model.revision)
        self.labels = verdict_tokens(self.tokenizer, judge.labels)
        self.engines = list(engines)
        self.timeout_s = config.rollout.call_timeout_s

    def version(self, policy: str) -> str:
        """The policy version whose weights answered, and the template's digest."""
        return f"self-{policy}-{digest_of(self.template)[:8]}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """Batches go to the engines in turn."""
        prompts_T = [self._encode(a) for a in asked]
        batches = [prompts_T[i : i + BATCH] for i in range(0, len(prompts_T), BATCH)]
        calls = [
            engine.choice_logprobs.remote(policy, batch, self.labels)
            for batch, engine in zip(batches, cycle(self.engines), strict=False)
        ]
        verdicts = [pair for result in wait(calls, self.timeout_s, "self-judging") for pair in result]
        return [TOO_LONG if pair is None else reply(*pair) for pair in verdicts]

    def _encode(self, asked: Asked) -> list[int]:
        turns = [{"role": "user", "content": render(self.template, asked)}]
        return encode(self.tokenizer, turns, Template.chat)
