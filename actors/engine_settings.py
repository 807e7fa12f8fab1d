"""What a vLLM engine is started with: its specification, the environment, and what the installed vLLM must offer.

vLLM's reinforcement-learning interface changes often; an engine looks for all that it needs when it starts, and fails
there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from loop.errors import InfrastructureFailed

CACHE_BLOCK = 32
"""Tokens of a prefix-cache block: the smallest that vLLM's CPU kernels run at full speed, so short prompts share."""

PREFILL_TOKENS = 4096
"""Prompt tokens that a CPU engine takes in one step, at least."""

ROLLOUTS_NEED = {
    "LLM": (
        "init_weight_transfer_engine",
        "start_weight_update",
        "update_weights",
        "finish_weight_update",
        "update_weight_version",
        "reset_prefix_cache",
        "collective_rpc",
    ),
    "SamplingParams": ("seed", "logprobs", "prompt_logprobs", "logprob_token_ids", "skip_reading_prefix_cache"),
}
JUDGES_NEED = {
    "LLM": ("generate", "classify"),
    "SamplingParams": ("seed", "logprob_token_ids", "structured_outputs"),
    "PoolingParams": ("use_activation", "extra_kwargs"),
}
"""What each adapter calls, by vLLM's classes."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which model an engine loads and what it may use; fields as in `loop.config`."""

    path: str
    dtype: str
    max_context: int
    max_concurrent: int
    kv_cache_gb: float
    gpu_memory: float
    prefix_caching: bool
    eager: bool
    revision: str | None = None


def engine_arguments(spec: EngineSpec) -> dict[str, Any]:
    """What every engine of ours is started with, whatever it does: safetensors only, and no code that a model brings.
    End tokens come from the model's generation configuration, its sampling defaults do not."""
    return {
        "model": spec.path,
        "revision": spec.revision,
        "tokenizer_revision": spec.revision,
        "load_format": "safetensors",
        "trust_remote_code": False,
        "dtype": spec.dtype,
        "max_model_len": spec.max_context,
        "max_num_seqs": spec.max_concurrent,
        "enforce_eager": spec.eager,
        "generation_config": "vllm",
        **_device_settings(spec),
    }


def _device_settings(spec: EngineSpec) -> dict[str, Any]:
    """Settings that differ between devices.

    Without a GPU, vLLM 0.32 fails when it splits the prompt of a request that has a seed ("CPU Generator does not use
    offset"), so prompts are never split there.
    """
    if torch.cuda.is_available():
        return {"gpu_memory_utilization": spec.gpu_memory, "block_size": CACHE_BLOCK}
    return {
        "block_size": CACHE_BLOCK,
        "kv_cache_memory_bytes": int(spec.kv_cache_gb * 2**30),
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(spec.max_context, PREFILL_TOKENS),
    }


def prepare_process(eager: bool) -> None:
    """What vLLM finds when it is imported: one process, quiet, no usage reports.

    Without a GPU, an eager engine also does without torch's compiler: vLLM compiles small parts of its sampler even
    then, which takes a CPU seconds at the first answer and gains nothing.
    """
    if eager and not torch.cuda.is_available():
        torch._dynamo.config.disable = True
    os.environ.update(
        VLLM_ENABLE_V1_MULTIPROCESSING="0",
        VLLM_LOGGING_LEVEL="ERROR",
        VLLM_NO_USAGE_STATS="1",
        DO_NOT_TRACK="1",
    )
    # overrides the size that an engine is given
    os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)


def require_api(vllm: Any, needed: Mapping[str, Sequence[str]]) -> None:
    """Check that the installed vLLM has what an adapter calls.

    Raises:
        InfrastructureFailed: it lacks something; the sentence names vLLM's version and what is missing.
    """
    missing = [
        f"{owner}.{name}"
        for owner, names in needed.items()
        for name in names
        if not hasattr(getattr(vllm, owner), name)
    ]
    if missing:
        raise InfrastructureFailed(f"vLLM {vllm.__version__} lacks {', '.join(missing)}: install the pinned version.")
