"""vLLM's parameters for what a judge writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loop.judges.speaking import Writing

if TYPE_CHECKING:
    from vllm import SamplingParams


def writing_parameters(writing: Writing, seed: int, room: int) -> SamplingParams:
    """`room`: the tokens that the context has left after the input, at least one."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    return SamplingParams(
        seed=seed,
        temperature=writing.temperature,
        max_tokens=min(writing.max_tokens, room),
        structured_outputs=StructuredOutputsParams(choice=list(writing.choices)) if writing.choices else None,
        skip_special_tokens=True,
        spaces_between_special_tokens=False,
    )
