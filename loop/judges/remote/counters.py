"""What asking a server has cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from loop.judges.remote.exchange import Completion, Failure

PER_PRICE = 1e6
"""Tokens that a price is for."""


@dataclass
class Counters:
    """Sums since the start. `requests` are the distinct ones of each batch; `seconds` are the attempts' latencies,
    `dollars` what completions from the server (not from the cache) cost; `escaped` counts chat-control strings in what
    was shown, `cache_lost` completions that could not be stored."""

    requests: int = 0
    attempts: int = 0
    retries: int = 0
    cache_hits: int = 0
    cache_lost: int = 0
    escaped: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    dollars: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    def completed(self, completion: Completion, price_prompt: float, price_completion: float) -> None:
        """The server completed a request; prices in dollars per million tokens."""
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        self.dollars += completion.prompt_tokens * price_prompt / PER_PRICE
        self.dollars += completion.completion_tokens * price_completion / PER_PRICE

    def failed(self, failure: Failure) -> None:
        """A request failed for good."""
        self.failures[failure.kind] += 1

    def told(self) -> dict[str, float]:
        """By name; failures also by kind, as `failures_KIND`."""
        sums = {name: value for name, value in vars(self).items() if name != "failures"}
        kinds = {f"failures_{kind}": count for kind, count in sorted(self.failures.items())}
        return {**sums, "failures": self.failures.total(), **kinds}
