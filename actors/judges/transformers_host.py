"""A judge's model on transformers: a forward pass without a cache, right padded, batches by length.

What an input gives does not depend on the inputs beside it (1e-5 in float32).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import count

import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from actors.judges.models import CLASSIFIER, LANGUAGE_MODEL, ModelInput, by_length, load_model, pooled_tokens
from actors.policy_module import PolicyModule
from loop.errors import Refused
from loop.judge_config import HostedConfig
from loop.judges.speaking import Writing, Written

CHUNK = 4096
"""Positions whose logits exist at the same time."""


class TransformersSpeaker:
    """A causal language model. Raises: Refused for a model that cannot be loaded as one."""

    def __init__(self, config: HostedConfig) -> None:
        self.max_context, self.batch = config.max_context, config.batch
        self.policy = PolicyModule(load_model(AutoModelForCausalLM, config, LANGUAGE_MODEL), CHUNK)
        self._used: Counter[str] = Counter()
        self._seconds = 0.0

    def next_logprobs(
        self, inputs_T: Sequence[list[int]], tokens: Sequence[int], policy: str
    ) -> list[list[float] | None]:
        """As `Speaker.next_logprobs`."""
        started = time.monotonic()
        fitting = [index for index, tokens_T in enumerate(inputs_T) if len(tokens_T) < self.max_context]
        found: list[list[float] | None] = [None] * len(inputs_T)
        for batch in by_length([len(inputs_T[index]) for index in fitting], self.batch):
            indices = [fitting[at] for at in batch]
            rows = self._last_logprobs([inputs_T[index] for index in indices], tokens)
            for index, row in zip(indices, rows, strict=True):
                found[index] = row
        self._count([inputs_T[index] for index in fitting], started)
        return found

    def text_logprobs(
        self, inputs_T: Sequence[list[int]], starts: Sequence[int], policy: str = ""
    ) -> list[list[float]]:
        """Log-probs (nats, float32) of every input's tokens from its position `start` >= 1 on, given all before."""
        started = time.monotonic()
        found: list[list[float]] = [[] for _ in inputs_T]
        for batch in by_length([len(tokens_T) for tokens_T in inputs_T], self.batch):
            ids_BL, attention_BL = _padded([inputs_T[index] for index in batch], 0, self.policy.model.device)
            positions_L = torch.arange(ids_BL.shape[1], device=ids_BL.device)
            starts_B = torch.tensor([starts[index] for index in batch], device=ids_BL.device)
            marked_BL = attention_BL.bool() & (positions_L >= starts_B[:, None])
            with torch.no_grad():
                logprobs_R = self.policy(ids_BL, attention_BL, marked_BL)
            pieces = torch.split(logprobs_R, marked_BL.sum(1).tolist())
            for index, piece in zip(batch, pieces, strict=True):
                found[index] = piece.tolist()
        self._count(inputs_T, started)
        return found

    def write(
        self, inputs_T: Sequence[list[int]], seeds: Sequence[int], writing: Writing, policy: str
    ) -> list[Written | None]:
        """Never: text is sampled by vLLM or a server. Raises: Refused."""
        raise Refused("judge.backend=transformers writes no text: take judge.read=probabilities or backend=vllm.")

    def usage(self) -> dict[str, float]:
        """Inputs, their tokens, seconds."""
        return {**self._used, "seconds": self._seconds}

    def _count(self, inputs_T: Sequence[list[int]], started: float) -> None:
        self._used.update(requests=len(inputs_T), prompt_tokens=sum(map(len, inputs_T)))
        self._seconds += time.monotonic() - started

    @torch.no_grad()
    def _last_logprobs(self, inputs_T: Sequence[list[int]], tokens: Sequence[int]) -> list[list[float]]:
        model, head = self.policy.model, self.policy.head
        ids_BL, attention_BL = _padded(inputs_T, 0, model.device)
        at = (torch.arange(len(inputs_T)), attention_BL.sum(1) - 1)
        if head is None:
            logits_BV = model(ids_BL, attention_mask=attention_BL, use_cache=False).logits[at]
        else:
            hidden_BLD = model.base_model(ids_BL, attention_mask=attention_BL, use_cache=False).last_hidden_state
            logits_BV = linear(hidden_BLD[at], head.weight, head.bias)
        logprobs: list[list[float]] = logits_BV.float().log_softmax(-1)[:, list(tokens)].tolist()
        return logprobs


class TransformersClassifier:
    """A sequence classifier. Raises: Refused for a model that cannot be loaded as one."""

    def __init__(self, config: HostedConfig) -> None:
        self.batch = config.batch
        self.model = load_model(AutoModelForSequenceClassification, config, CLASSIFIER)
        self.outputs = int(self.model.config.num_labels)
        self._text_config = self.model.config.get_text_config()
        self._pad: int | None = self._text_config.pad_token_id

    @torch.no_grad()
    def logits(self, inputs: Sequence[ModelInput]) -> list[list[float]]:
        """Logits `[n, outputs]`, without an activation."""
        found: list[list[float]] = [[] for _ in inputs]
        inputs_T = [pooled_tokens(one.tokens_T, self._pad) for one in inputs]
        for batch in by_length([len(tokens_T) for tokens_T in inputs_T], self.batch):
            rows_T = [inputs_T[index] for index in batch]
            ids_BL, attention_BL = _padded(rows_T, self._padding(rows_T), self.model.device)
            arguments = {"attention_mask": attention_BL}
            if any(inputs[index].second is not None for index in batch):
                arguments["token_type_ids"] = _types([inputs[index].second for index in batch], ids_BL)
            logits_BO = self.model(ids_BL, **arguments).logits.float()
            for index, row in zip(batch, logits_BO.tolist(), strict=True):
                found[index] = row
        return found

    def _padding(self, rows_T: Sequence[list[int]]) -> int:
        """The padding token. A decoder's classifier reads the last token that is another one, so a model without a
        padding token gets one with which none of these inputs ends."""
        if self._pad is not None:
            return self._pad
        ends = {tokens_T[-1] for tokens_T in rows_T}
        self._text_config.pad_token_id = next(token for token in count() if token not in ends)
        return int(self._text_config.pad_token_id)


def _padded(rows_T: Sequence[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and attention mask `[B, L]`, padded on the right."""
    longest = max(map(len, rows_T))
    ids_BL = torch.tensor([[*tokens_T, *[pad] * (longest - len(tokens_T))] for tokens_T in rows_T], device=device)
    lengths_B = torch.tensor([len(tokens_T) for tokens_T in rows_T], device=device)
    return ids_BL, (torch.arange(longest, device=device) < lengths_B[:, None]).long()


def _types(seconds: Sequence[int | None], ids_BL: Tensor) -> Tensor:
    """Token types `[B, L]`: 1 from an input's second segment on."""
    length = ids_BL.shape[1]
    starts_B = torch.tensor([length if second is None else second for second in seconds], device=ids_BL.device)
    return (torch.arange(length, device=ids_BL.device) >= starts_B[:, None]).long()
