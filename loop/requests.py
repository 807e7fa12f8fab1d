"""What each phase asks for: pure functions of the configuration, the round and the policy version."""

from __future__ import annotations

from collections.abc import Sequence

from loop.config import RolloutConfig
from loop.records import PolicyVersion, Purpose
from loop.sampling import GenerateRequest, Sampling
from loop.task import Task


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


def is_plain(rollout: RolloutConfig) -> bool:
    """Whether answers are drawn from the policy itself, neither sharpened nor truncated."""
    return rollout.temperature == 1 and rollout.top_p == 1 and rollout.top_k == 0 and rollout.min_tokens == 0


def train_requests(task: Task, round: int, policy: PolicyVersion, prompt_ids: Sequence[str]) -> list[GenerateRequest]:
    """K responses for each of a round's prompts."""
    return _requests(task, "responses", round, "train", policy, prompt_ids, task.config.algorithm.k)


def evaluation_requests(task: Task, round: int, policy: PolicyVersion) -> list[GenerateRequest]:
    """Answers to the test prompts."""
    ids = [prompt.prompt_id for prompt in task.pool.test]
    return _requests(task, "evaluation_responses", round, "evaluate", policy, ids, task.config.evaluate.samples)


def _requests(
    task: Task, table: str, round: int, purpose: Purpose, policy: PolicyVersion, prompt_ids: Sequence[str], k: int
) -> list[GenerateRequest]:
    """Prompts cut into fixed slices of `rollout.shard_prompts`, in order: shard i is always the same prompts."""
    size = task.config.rollout.shard_prompts
    return [
        GenerateRequest(
            identity=task.identity,
            table=table,
            round=round,
            shard=shard,
            purpose=purpose,
            policy=str(policy),
            prompts_path=task.prompts_path,
            prompt_ids=tuple(prompt_ids[start : start + size]),
            k=k,
            sampling=sampling_of(task.config.rollout),
        )
        for shard, start in enumerate(range(0, len(prompt_ids), size))
    ]
