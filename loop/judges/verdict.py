"""What a language model's answer to a judge template comes to, wherever the model runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from loop.judge_config import AskedConfig, ReadBy
from loop.judges.judge import Reply
from loop.judges.reading import expected_score, parse_choice, parse_score, preference
from loop.judges.speaking import Written
from loop.judges.template import JudgeTemplate
from loop.judges.thinking import visible


def verdict_of_logprobs(config: AskedConfig, template: JudgeTemplate, logprobs: Mapping[str, float]) -> Reply:
    """From log-probs (nats) of the tokens that may come first, by their text."""
    if template.asks == "score":
        return expected_score(logprobs, template.scores, config.min_mass)
    return preference(logprobs, template.labels, config.min_mass)


def verdict_of_text(
    config: AskedConfig, template: JudgeTemplate, written: Written, choice: Callable[[str], str] = str
) -> Reply:
    """From a whole text: its one verdict outside of thinking, or with `judge.read=constrained` the one that `choice`
    finds in it. Failed where the text was cut: what is missing might say something else."""
    reply = Reply(written.text, "failed", None)
    if not written.ended:
        return reply
    if config.read is ReadBy.constrained:
        reply = verdict_of_logprobs(config, template, {choice(written.text): 0.0})
    elif (said := visible(written.text, config.thinking_markers)) is not None:
        if template.asks == "score":
            reply = parse_score(said, template.scores, template.marker)
        else:
            reply = parse_choice(said, template.labels, template.marker)
    return replace(reply, raw=written.text, tokens_T=written.tokens_T)
