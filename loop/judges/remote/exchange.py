"""What goes to a server and what comes back: bodies and their reading. Pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from loop.judges.reading import ROUNDING
from loop.records import Message, digest_of

Kind = Literal[
    "refused",  # by the server, for this request: too long, a parameter that it does not know
    "rate_limited",
    "server_error",
    "cut",  # no connection, or one that ended early
    "timeout",
    "invalid_json",
    "no_choices",
    "no_logprobs",
    "wrong_shape",
    "left_alone",  # not sent, because the server failed too often
    "other_limit",  # sent again at once, with the limit's other name
]

LIMIT, OTHER_LIMIT = "max_tokens", "max_completion_tokens"
"""Names of the longest reply. Some servers know the first only, others refuse it (OpenAI's for models that reason)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion. `options` are the body's keys beside model and messages; `sample` tells repeats of the same
    body apart. With the option `logprobs` a completion without them is none."""

    messages: Sequence[Message]
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0

    def body(self, model: str, limit: str = LIMIT) -> bytes:
        """The body as ASCII JSON: text that UTF-8 cannot hold arrives as an escape instead of ending the batch. `limit`
        is the name by which the server knows the option `max_tokens`."""
        options = {limit if name == LIMIT else name: value for name, value in self.options.items()}
        return json.dumps({"model": model, "messages": list(self.messages), **options}).encode("ascii")

    def key(self, url: str, model: str, revision: str | None) -> str:
        """Digest of everything that the completion depends on."""
        return digest_of("completion", url, model, revision, list(self.messages), dict(self.options), self.sample)


@dataclass(frozen=True, slots=True)
class Completion:
    """A server's answer. `logprobs` are those of the tokens that may come first (nats, by the token's text), None where
    they were not asked for. Tokens are 0 where the server does not count them; `seconds` is 0 from the cache."""

    text: str
    finish_reason: str
    logprobs: dict[str, float] | None
    prompt_tokens: int
    completion_tokens: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without a completion, and one sentence that says why. Nothing in it comes from the server's body
    (servers echo keys) or says where the server is: it enters tables that do not depend on that."""

    kind: Kind
    why: str


def read_completion(body: bytes, wants_logprobs: bool, seconds: float = 0.0) -> Completion | Failure:
    """The completion in a body, or what is wrong with it; never an exception."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return Failure("invalid_json", "the server's answer is not JSON")
    if not isinstance(told, dict):
        return Failure("wrong_shape", "the server's answer is not a JSON object")
    choices = told.get("choices")
    if not isinstance(choices, list) or not choices:
        return Failure("no_choices", "the server's answer has no choices")
    choice = choices[0] if isinstance(choices[0], dict) else {}
    message = choice.get("message")
    # a model that thought until the limit has content null: an empty text, no fault of the server
    text = message.get("content", "") if isinstance(message, dict) else 0
    if text is not None and not isinstance(text, str):
        return Failure("wrong_shape", "the server's answer holds no text")
    logprobs = _first_logprobs(choice.get("logprobs")) if wants_logprobs else None
    if wants_logprobs and not logprobs:
        return Failure("no_logprobs", "the server's answer lacks the log-probs that were asked for")
    return Completion(
        text=_storable(text or ""),
        finish_reason=str(choice.get("finish_reason")),
        logprobs=logprobs,
        prompt_tokens=_count(told.get("usage"), "prompt_tokens"),
        completion_tokens=_count(told.get("usage"), "completion_tokens"),
        seconds=seconds,
    )


def refuses_limit(body: bytes) -> bool:
    """Whether the body of a refusal says that the server does not know `LIMIT` for this model. Only the fields that the
    server itself fills are read: its message may quote the question."""
    try:
        error = json.loads(body)["error"]
        return bool(error["param"] == LIMIT and error["code"] == "unsupported_parameter")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _first_logprobs(told: Any) -> dict[str, float] | None:
    """Log-probs of the first token's alternatives; None when one of them is no log-prob. Tokens of the same text
    (pieces of a character) count together."""
    try:
        tokens = [(_storable(one["token"]), float(one["logprob"])) for one in told["content"][0]["top_logprobs"]]
    except (TypeError, KeyError, IndexError, ValueError, OverflowError, AttributeError):
        return None
    if any(math.isnan(logprob) or logprob > ROUNDING for _, logprob in tokens):
        return None
    masses: dict[str, float] = {}
    for token, logprob in tokens:
        masses[token] = masses.get(token, 0.0) + math.exp(min(logprob, 0.0))
    return {token: math.log(mass) for token, mass in masses.items() if mass > 0}


def _storable(text: str) -> str:
    """JSON can escape half a character, which no file takes."""
    return text.encode("utf-8", "replace").decode()


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 < value < 1 << 53 else 0
