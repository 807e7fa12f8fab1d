"""What a judge writes on vLLM: parameters and results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loop.judges.speaking import Writing, Written

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.outputs import RequestOutput


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


def written(output: RequestOutput) -> Written:
    """The text, ended where vLLM says `stop`: an end token, which alone may follow a whole choice."""
    (told,) = output.outputs
    return Written(told.text, told.finish_reason == "stop", tuple(told.token_ids))
