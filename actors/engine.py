"""The one adapter around vLLM: every vLLM call of the product lives here, in `actors.transfer` and in
`actors.judges.vllm_host`.

Written for and run with vLLM 0.32 (CPU build), engine and scheduler inside this process, one device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from actors.engine_settings import ROLLOUTS_NEED, EngineSpec, engine_arguments, prepare_process, require_api
from actors.writing import writing_parameters, written
from loop.config import Template
from loop.errors import InfrastructureFailed, Refused
from loop.judges.speaking import Writing, Written
from loop.prompts.tokenizer import tokenizer_digest
from loop.push import Reading
from loop.records import FinishReason
from loop.samplers.replies import Encoder
from loop.sampling import Sampling

if TYPE_CHECKING:
    from vllm import LLM, SamplingParams
    from vllm.outputs import CompletionOutput, RequestOutput

    from actors.transfer import Received


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sampled answer. `tokens_T` includes the end token, `text` does not; `logprobs_T` are raw (temperature 1,
    untruncated)."""

    tokens_T: list[int]
    logprobs_T: list[float]
    text: str
    finish_reason: FinishReason
    weight_version: str


class Engine:
    """A live vLLM engine.

    Raises:
        InfrastructureFailed: the installed vLLM lacks something that this adapter calls.
        Refused: the checkpoint's folder holds no safetensors.
    """

    def __init__(self, spec: EngineSpec) -> None:
        prepare_process(spec.eager)
        import vllm
        from vllm.config import WeightTransferConfig

        require_api(vllm, ROLLOUTS_NEED)
        from actors.transfer import register

        self.spec = spec
        self._vllm = vllm
        self._open = False
        self.llm: LLM = vllm.LLM(
            **engine_arguments(spec),
            enable_prefix_caching=spec.prefix_caching,
            logprobs_mode="raw_logprobs",
            weight_transfer_config=WeightTransferConfig(backend=register()),
        )
        self.llm.init_weight_transfer_engine({"init_info": {}})

    @property
    def tokenizer_digest(self) -> str:
        """Digest of the vocabulary and the chat template."""
        return tokenizer_digest(self.llm.get_tokenizer())

    def encoder(self, template: Template) -> Encoder:
        """How the policy's conversations and answers become tokens. Answers end with the tokenizer's end token, or one
        of the model's generation configuration."""
        tokenizer, model = self.llm.get_tokenizer(), self.llm.llm_engine.model_config
        given = model.try_get_generation_config().get("eos_token_id")
        ends = {tokenizer.eos_token_id, *(given if isinstance(given, list) else [given])} - {None}
        return Encoder(tokenizer, template, frozenset(ends), self.spec.max_context)

    def generate(
        self, prompts_T: Sequence[list[int]], seeds: Sequence[int], samplings: Sequence[Sampling]
    ) -> list[Sampled]:
        """Sample one answer per (prompt, seed, sampling), all of them at once.

        Raises:
            Refused: a prompt leaves no room for an answer.
            InfrastructureFailed: vLLM gave a request up.
        """
        parameters = [self._sampling(*one) for one in zip(prompts_T, seeds, samplings, strict=True)]
        return [_sampled(output.outputs[0]) for output in self._run(prompts_T, parameters)]

    def text_logprobs(self, texts_T: Sequence[list[int]]) -> list[list[float]]:
        """Teacher-forced log-prob of each token given its prefix, the first one excluded; no cached prefix is read."""
        parameters = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        logprobs = []
        for tokens_T, output in zip(texts_T, self._run(texts_T, [parameters] * len(texts_T)), strict=True):
            rows = output.prompt_logprobs or []
            logprobs.append(
                [row[token].logprob for row, token in zip(rows[1:], tokens_T[1:], strict=True) if row is not None]
            )
        return logprobs

    def choice_logprobs(self, prefixes_T: Sequence[list[int]], choices: list[int]) -> list[list[float] | None]:
        """Log-probs of the tokens `choices` after each prefix, not renormalised over them; cached prefixes are read.

        None for a prefix that fills the context: no token can follow it.
        """
        fitting_T = [tokens_T for tokens_T in prefixes_T if self._has_room(tokens_T)]
        answers = iter(self._next_logprobs(fitting_T, [choices] * len(fitting_T)))
        return [next(answers) if self._has_room(tokens_T) else None for tokens_T in prefixes_T]

    def write(self, prefixes_T: Sequence[list[int]], seeds: Sequence[int], writing: Writing) -> list[Written | None]:
        """One text after each prefix, as a judge writes it; None for a prefix that fills the context."""
        fitting = [
            (tokens_T, seed) for tokens_T, seed in zip(prefixes_T, seeds, strict=True) if self._has_room(tokens_T)
        ]
        parameters = [
            writing_parameters(writing, seed, self.spec.max_context - len(tokens_T)) for tokens_T, seed in fitting
        ]
        outputs = iter(self._run([tokens_T for tokens_T, _ in fitting], parameters))
        return [written(next(outputs)) if self._has_room(tokens_T) else None for tokens_T in prefixes_T]

    def read(self, texts_T: Sequence[list[int]]) -> Reading:
        """Both readings of some texts. The cached one comes first: the other one writes fresh blocks into the cache."""
        cached = self._next_logprobs([tokens_T[:-1] for tokens_T in texts_T], [[tokens_T[-1]] for tokens_T in texts_T])
        forced = self.text_logprobs(texts_T)
        return Reading(tuple(tuple(text) for text in forced), tuple(choice[0] for choice in cached))

    def prime(self, texts_T: Sequence[list[int]]) -> None:
        """Put the texts' keys and values into the prefix cache."""
        self._read_into_cache(texts_T)

    def held(self, tokens_T: list[int]) -> int:
        """How many of a text's tokens the prefix cache held before this call, which puts them there.

        The text runs alone: texts that run together find each other's blocks in the cache.
        """
        (output,) = self._read_into_cache([tokens_T])
        return output.num_cached_tokens or 0

    def stamp(self, version: str) -> None:
        """Name the weights that are loaded; later answers carry the name."""
        self.llm.update_weight_version(version)

    def begin(self) -> None:
        """Open a push; until it is finished or abandoned the model cannot run."""
        self.llm.start_weight_update()
        self._open = True

    def abandon(self) -> None:
        """Close a push that was left open, so that the model can run again, on modules of two versions."""
        if self._open:
            self.llm.collective_rpc(_discard_by)
            self.llm.finish_weight_update()
            self._open = False

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Load one group of tensors, whole decoder layers at a time.

        Raises:
            InfrastructureFailed: the model has no such tensor, or one of another shape.
        """
        self._require_open()
        before = len(self._received().tensors)
        try:
            self.llm.update_weights({"update_info": {"tensors": tensors}})
        except (ValueError, KeyError, AssertionError, RuntimeError) as error:
            self._open = False  # vLLM has ended the update
            arrived = [spec.name for spec in self._received().tensors[before:]]
            at = arrived[-1] if arrived else next(iter(tensors))
            raise InfrastructureFailed(
                f"the engine could not load tensor `{at}`: {error or type(error).__name__}"
            ) from error

    def finish(self, version: str) -> Received:
        """Close a push: weights into service form, version stamped, prefix cache emptied; tells what arrived."""
        self._require_open()
        self.llm.finish_weight_update(weight_version=version)
        self._open = False
        self.reset_cache()
        return self._received()

    def reset_cache(self) -> None:
        """Forget keys and values of all prefixes; vLLM does not do so by itself when weights change."""
        if not self.llm.reset_prefix_cache():
            raise InfrastructureFailed("vLLM did not reset its prefix cache: some request still holds blocks of it.")

    def _require_open(self) -> None:
        if not self._open:
            raise InfrastructureFailed("tensors of a push reached an engine to which no push is open.")

    def _received(self) -> Received:
        (received,) = self.llm.collective_rpc(_received_by)
        return received

    def _has_room(self, prompt_T: Sequence[int]) -> bool:
        return len(prompt_T) < self.spec.max_context

    def _read_into_cache(self, texts_T: Sequence[list[int]]) -> list[RequestOutput]:
        parameters = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, detokenize=False)
        return self._run(texts_T, [parameters] * len(texts_T))

    def _sampling(self, prompt_T: Sequence[int], seed: int, sampling: Sampling) -> SamplingParams:
        if not self._has_room(prompt_T):
            raise Refused(
                f"a prompt of {len(prompt_T)} tokens leaves no room for an answer within "
                f"max_context={self.spec.max_context}."
            )
        max_tokens = min(sampling.max_tokens, self.spec.max_context - len(prompt_T))
        return self._vllm.SamplingParams(
            n=1,
            seed=seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_tokens=min(sampling.min_tokens, max_tokens),
            max_tokens=max_tokens,
            stop=list(sampling.stop),
            logprobs=0,
            skip_special_tokens=True,
            spaces_between_special_tokens=False,
        )

    def _next_logprobs(self, prefixes_T: Sequence[list[int]], choices: Sequence[list[int]]) -> list[list[float]]:
        parameters = [
            self._vllm.SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=ids, detokenize=False)
            for ids in choices
        ]
        logprobs = []
        for ids, output in zip(choices, self._run(prefixes_T, parameters), strict=True):
            rows = output.outputs[0].logprobs
            if not rows:
                raise InfrastructureFailed("vLLM returned no log-probs for the chosen tokens.")
            logprobs.append([rows[0][token].logprob for token in ids])
        return logprobs

    def _run(self, prompts_T: Sequence[list[int]], parameters: Sequence[SamplingParams]) -> list[RequestOutput]:
        if self._open:
            raise InfrastructureFailed("the engine cannot run while a push to it is open.")
        prompts: list[Any] = [{"prompt_token_ids": tokens_T} for tokens_T in prompts_T]
        return self.llm.generate(prompts, list(parameters), use_tqdm=False)


def _discard_by(worker: Any) -> None:
    worker.weight_transfer_engine.discard()


def _received_by(worker: Any) -> Received:
    received: Received = worker.weight_transfer_engine.received
    return received


def _sampled(output: CompletionOutput) -> Sampled:
    tokens_T = list(output.token_ids)
    if output.logprobs is None or len(output.logprobs) != len(tokens_T):
        raise InfrastructureFailed("vLLM returned an answer without a log-prob for each of its tokens.")
    logprobs_T = [row[token].logprob for row, token in zip(output.logprobs, tokens_T, strict=True)]
    versions = {span.version for span in output.weight_versions or []}
    if len(versions) != 1:
        raise InfrastructureFailed(f"an answer was sampled under {len(versions)} weight versions instead of one.")
    return Sampled(tokens_T, logprobs_T, output.text, _finish_reason(output), versions.pop())


def _finish_reason(output: CompletionOutput) -> FinishReason:
    """`end`: an end token, the tokenizer's or another one of the generation configuration; `stop`: a stop string."""
    if output.finish_reason == "stop":
        return "stop" if isinstance(output.stop_reason, str) else "end"
    if output.finish_reason in ("length", "abort"):
        return "length" if output.finish_reason == "length" else "abort"
    raise InfrastructureFailed(f"vLLM ended an answer with the unknown reason {output.finish_reason!r}.")
