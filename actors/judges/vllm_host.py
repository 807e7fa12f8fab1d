"""A judge's model on a vLLM engine of its own. With `actors.engine` and `actors.transfer` the only place of vLLM calls.

Written for and run with vLLM 0.32 (CPU build), engine and scheduler inside this process, one device.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from actors.engine_settings import JUDGES_NEED, EngineSpec, engine_arguments, prepare_process, require_api
from actors.judges.models import CLASSIFIER, LANGUAGE_MODEL, ModelInput, located, model_config, pooled_tokens
from actors.writing import writing_parameters, written
from loop.errors import InfrastructureFailed, Refused
from loop.judge_config import HostedConfig
from loop.judges.speaking import Writing, Written

if TYPE_CHECKING:
    from transformers import PretrainedConfig
    from vllm import LLM
    from vllm.outputs import RequestOutput

_hosted: str | None = None
# the model on this process's engine: engines of one process share vLLM's global state, and ending one ends both


def _start(
    config: HostedConfig, runner: Literal["generate", "pooling"], heads: tuple[str, ...]
) -> tuple[LLM, PretrainedConfig]:
    """An engine, and its model's own configuration."""
    global _hosted
    if _hosted is not None:
        raise Refused(
            f"the judge's models {_hosted} and {config.model} cannot both run on vLLM in one process: give one of them "
            "backend=transformers or backend=server."
        )
    found = model_config(config, heads)
    prepare_process(eager=True)
    import vllm

    require_api(vllm, JUDGES_NEED)
    spec = EngineSpec(
        path=located(config.model),
        dtype=config.dtype.value,
        max_context=config.max_context,
        max_concurrent=config.batch,
        kv_cache_gb=config.kv_cache_gb,
        gpu_memory=config.gpu_memory,
        prefix_caching=True,
        eager=True,
        revision=config.revision,
    )
    reads = {"enable_prefix_caching": spec.prefix_caching, "logprobs_mode": "raw_logprobs"}
    try:
        llm = vllm.LLM(**engine_arguments(spec), runner=runner, **(reads if runner == "generate" else {}))
    except ValueError as error:
        # the first sentence behind what pydantic puts before it
        reason = str(error).rpartition("Value error, ")[2].split(". ")[0].strip().rstrip(".")
        raise Refused(f"vLLM cannot run judge.model={config.model} (backend=transformers may): {reason}.") from error
    _hosted = config.model
    return llm, found


class VllmSpeaker:
    """A language model. Raises: Refused for one that vLLM cannot run, or beside another engine of this process."""

    def __init__(self, config: HostedConfig) -> None:
        self.llm, _ = _start(config, "generate", LANGUAGE_MODEL)
        self.max_context = config.max_context
        self._used: Counter[str] = Counter()
        self._seconds = 0.0

    def next_logprobs(
        self, inputs_T: Sequence[list[int]], tokens: Sequence[int], policy: str
    ) -> list[list[float] | None]:
        """As `Speaker.next_logprobs`; cached prefixes are read."""
        from vllm import SamplingParams

        wanted = list(tokens)
        parameters = SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=wanted, detokenize=False)
        outputs = self._run(inputs_T, [parameters] * len(inputs_T))
        return [None if output is None else _logprobs(output, wanted) for output in outputs]

    def write(
        self, inputs_T: Sequence[list[int]], seeds: Sequence[int], writing: Writing, policy: str
    ) -> list[Written | None]:
        """As `Speaker.write`; a text ends at the latest where the model's context is full."""
        parameters = [
            writing_parameters(writing, seed, max(1, self.max_context - len(tokens_T)))
            for tokens_T, seed in zip(inputs_T, seeds, strict=True)
        ]
        outputs = self._run(inputs_T, parameters)
        return [None if output is None else written(output) for output in outputs]

    def usage(self) -> dict[str, float]:
        """Inputs, their tokens, tokens written, seconds."""
        return {**self._used, "seconds": self._seconds}

    def _run(self, inputs_T: Sequence[list[int]], parameters: Sequence[Any]) -> list[RequestOutput | None]:
        """None for an input that fills the context."""
        started = time.monotonic()
        fits = [len(tokens_T) < self.max_context for tokens_T in inputs_T]
        prompts: list[Any] = [{"prompt_token_ids": ids} for ids, fit in zip(inputs_T, fits, strict=True) if fit]
        chosen = [one for one, fit in zip(parameters, fits, strict=True) if fit]
        outputs = self.llm.generate(prompts, chosen, use_tqdm=False) if prompts else []
        self._used.update(
            requests=len(prompts),
            prompt_tokens=sum(len(prompt["prompt_token_ids"]) for prompt in prompts),
            completion_tokens=sum(len(output.outputs[0].token_ids) for output in outputs),
        )
        self._seconds += time.monotonic() - started
        answers = iter(outputs)
        return [next(answers) if fit else None for fit in fits]


def _logprobs(output: RequestOutput, tokens: Sequence[int]) -> list[float]:
    rows = output.outputs[0].logprobs
    if not rows:
        raise InfrastructureFailed("vLLM returned no log-probs for the chosen tokens.")
    return [rows[0][token].logprob for token in tokens]


class VllmClassifier:
    """A sequence classifier. Raises: as `VllmSpeaker`."""

    def __init__(self, config: HostedConfig) -> None:
        self.llm, found = _start(config, "pooling", CLASSIFIER)
        self.outputs = int(found.num_labels)
        self._pad: int | None = found.get_text_config().pad_token_id

    def logits(self, inputs: Sequence[ModelInput]) -> list[list[float]]:
        """Logits `[n, outputs]`, without an activation."""
        from vllm import PoolingParams

        prompts: list[Any] = [{"prompt_token_ids": pooled_tokens(one.tokens_T, self._pad)} for one in inputs]
        parameters = [
            PoolingParams(
                use_activation=False,
                # vLLM's form of token types: where the second segment begins
                extra_kwargs=None if one.second is None else {"compressed_token_type_ids": one.second},
            )
            for one in inputs
        ]
        outputs = self.llm.classify(prompts, pooling_params=parameters, use_tqdm=False) if prompts else []
        return [[float(logit) for logit in output.outputs.probs] for output in outputs]
