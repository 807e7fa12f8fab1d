"""What each phase asks for: pure functions of the configuration, the round and the policy version."""

from __future__ import annotations

from collections.abc import Sequence

from loop.config import RolloutConfig
from loop.records import PolicyVersion
from loop.sampling import GenerateRequest, Sampling


def sampling_of(rollout: RolloutConfig) -> Sampling:
    """The sampling parameters of a configuration."""
    return Sampling(
        rollout.temperature,
        rollout.top_p,
        rollout.top_k,
        rollout.min_tokens,
        rollout.max_tokens,
        tuple(rollout.stop),
    )


def generate_requests(
    rollout: RolloutConfig,
    identity: str,
    round: int,
    policy: PolicyVersion,
    prompts_path: str,
    prompt_ids: Sequence[str],
    k: int,
    evaluation: bool = False,
) -> list[GenerateRequest]:
    """One round's prompts cut into fixed slices of `rollout.shard_prompts`, in order: shard i is always the same
    prompts."""
    size = rollout.shard_prompts
    return [
        GenerateRequest(
            identity=identity,
            table="evaluation_responses" if evaluation else "responses",
            round=round,
            shard=shard,
            purpose="evaluate" if evaluation else "train",
            policy=str(policy),
            prompts_path=prompts_path,
            prompt_ids=tuple(prompt_ids[start : start + size]),
            k=k,
            sampling=sampling_of(rollout),
        )
        for shard, start in enumerate(range(0, len(prompt_ids), size))
    ]
