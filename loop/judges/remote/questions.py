"""A judge's questions as chat completions, and what these say. Pure functions."""

from __future__ import annotations

import json
from typing import Any

from loop.judge_config import LlmConfig, ReadBy
from loop.judges.judge import Asked, Reply
from loop.judges.remote.exchange import Completion, Request
from loop.judges.speaking import Written
from loop.judges.template import JudgeTemplate, messages
from loop.judges.verdict import verdict_of_logprobs, verdict_of_text
from loop.records import Message, seed_of

TOP = 20
"""Alternatives to the first token that servers tell at most."""
FIELD = "verdict"
"""The key of a constrained reply that is JSON."""


def request(config: LlmConfig, template: JudgeTemplate, asked: Asked) -> Request:
    """The question as a chat completion. Without chance the repeats of a question are one request."""
    turns, more = _begun(config, template, messages(template, asked))
    if config.read is ReadBy.probabilities:
        # At temperature 1 the log-probs are the model's own, whether a server tells them before or after its scaling.
        reading = {"max_tokens": 1, "temperature": 1.0, "top_p": 1.0, "logprobs": True, "top_logprobs": TOP}
        return Request(turns, {**reading, **more})
    writing: dict[str, Any] = {"max_tokens": config.max_tokens, "temperature": config.temperature, **more}
    if config.read is ReadBy.constrained:
        writing |= _constraint(config, template)
    if config.temperature == 0:
        return Request(turns, writing)
    question = asked.question
    # Servers in front of servers read numbers as doubles.
    seed = seed_of("judge", question.prompt_id, question.response_ids, question.sample) & 0x7FFFFFFF
    return Request(turns, {**writing, "seed": seed}, question.sample)


def written_tokens(config: LlmConfig) -> int:
    """The longest reply, in tokens."""
    return 1 if config.read is ReadBy.probabilities else config.max_tokens


def read(config: LlmConfig, template: JudgeTemplate, completion: Completion) -> Reply:
    """What a completion says."""
    if config.read is ReadBy.probabilities:
        return verdict_of_logprobs(config, template, completion.logprobs or {})
    written = Written(completion.text, completion.finish_reason == "stop")
    return verdict_of_text(config, template, written, str.strip if config.server.vllm else _field)


def _begun(config: LlmConfig, template: JudgeTemplate, turns: list[Message]) -> tuple[list[Message], dict[str, Any]]:
    """The turns, and the options with which the reply begins as the template says. Only vLLM's server lets one begin a
    reply; elsewhere a constrained one is JSON, and another is not read by its first token."""
    if config.read is ReadBy.text or not template.begin or not config.server.vllm:
        return turns, {}
    begun = [*turns, {"role": "assistant", "content": template.begin}]
    return begun, {"continue_final_message": True, "add_generation_prompt": False}


def _constraint(config: LlmConfig, template: JudgeTemplate) -> dict[str, Any]:
    if config.server.vllm:
        return {"structured_outputs": {"choice": list(template.verdicts)}}
    # OpenAI takes nothing but an object at the top.
    schema = {
        "type": "object",
        "properties": {FIELD: {"type": "string", "enum": list(template.verdicts)}},
        "required": [FIELD],
        "additionalProperties": False,
    }
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": FIELD, "strict": True, "schema": schema}}
    }


def _field(text: str) -> str:
    """The verdict in a constrained reply; empty where the server did not keep to the constraint."""
    try:
        return str(json.loads(text)[FIELD])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
