"""What rollout engines are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from loop.config import Template
from loop.records import Purpose, ShardRef


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
class Mixture:
    """Samples of the mixture proportional to previous^(1 - weight) * other^weight, taken from draws of `previous`.

    Of the responses beside that are for `draw`, numbers `first` to `first + draws - 1`, `k` are chosen with
    probabilities in proportion to (other / previous)^weight and become `purpose`. `weights` are shards with the draws'
    log-probs under `other`, a policy's label; none when `other` is the policy that drew them.
    """

    purpose: Purpose
    k: int
    first: int
    draws: int
    weight: float
    other: str
    weights: tuple[ShardRef, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One shard of generation: responses to each of some prompts, sampled from one policy version.

    `prompts_path` is a shard file of `Prompt` rows that holds `prompt_ids` (and others); the responses are written as
    shard `shard` of `table` below `store`, grouped by prompt in the order of `prompt_ids`, then by purpose and k.
    `identity` is the run's; response ids and seeds derive from it.

    Which ones are sampled is step `step` of the strategy `strategy` with its options (`loop.samplers`): `k` of them for
    `purpose`, unless the strategy has its own mind. `beside` are shards with responses to the same prompts that are
    there already, `said` what the judge said of them: the strategy sees them. In a group's last step (`whole`) they are
    written too, and so are the texts of `given`, pairs of column and purpose; `mixtures` say which of the responses in
    `beside` stand for samples of a mixture. `template` is how conversations and texts become tokens.
    """

    identity: str
    store: str
    table: str
    round: int
    shard: int
    purpose: Purpose
    policy: str
    prompts_path: str
    prompt_ids: tuple[str, ...]
    k: int
    sampling: Sampling
    strategy: str = "samples"
    options: Mapping[str, Any] = field(default_factory=dict)
    step: int = 0
    beside: tuple[ShardRef, ...] = ()
    said: tuple[ShardRef, ...] = ()
    whole: bool = True
    given: tuple[tuple[str, Purpose], ...] = ()
    mixtures: tuple[Mixture, ...] = ()
    template: Template = Template.chat
