"""What rollout engines are asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn. `stop` are strings; end tokens come from the model's generation configuration. `top_k` 0:
    no limit."""

    temperature: float
    top_p: float
    top_k: int
    min_tokens: int
    max_tokens: int
    stop: tuple[str, ...]

    def label(self) -> str:
        """Canonical JSON, stored beside every response."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One shard of generation: `k` responses for each of some prompts, from one policy version.

    `prompts_path` is a shard file of `Prompt` rows that holds `prompt_ids` (and others); the responses are written as
    shard `shard` of `table`, grouped by prompt in the order of `prompt_ids`, then by k. `identity` is the run's;
    response ids and seeds derive from it.
    """

    identity: str
    table: str
    round: int
    shard: int
    purpose: str
    policy: str
    prompts_path: str
    prompt_ids: tuple[str, ...]
    k: int
    sampling: Sampling
