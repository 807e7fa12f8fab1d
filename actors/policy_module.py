"""The policy as one module whose forward pass ends in log-probs, so that everything happens inside DeepSpeed's engine.

Axes: `_BL` rows and positions, `_R` response tokens of all rows, row by row; `_D` hidden units.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from loop.diagnostics.vocabulary import top_entropy_and_mass
from loop.losses import vocabulary

# Largest relative difference that is rounding, between numbers that the same operations gave.
_ROUNDING = 1e-3


def logprob_of(logits_RV: Tensor, targets_R: Tensor, alignment: bool = False) -> Tensor:
    """Log-prob of each target `[R]` in float32, or wider where the logits are.

    With `alignment` `[R, 2]`: the targets' alignment (`vocabulary.alignment`) is the second column.
    """
    logits_RV = logits_RV.to(torch.promote_types(logits_RV.dtype, torch.float32))
    logprobs_R = logits_RV.gather(-1, targets_R[:, None]).squeeze(-1) - logits_RV.logsumexp(-1)
    if not alignment:
        return logprobs_R
    return torch.stack([logprobs_R, vocabulary.alignment(logits_RV, targets_R)], -1)


def probed(logits_RV: Tensor, targets_R: Tensor) -> Tensor:
    """What a probe reads at each position, `[R, 4]` in float32 or wider: the target's log-prob, the distribution's top
    entropy and top mass (`loop.diagnostics.vocabulary`), and the logarithm of the logits' exponentials' sum."""
    logits_RV = logits_RV.to(torch.promote_types(logits_RV.dtype, torch.float32))
    return torch.stack(
        [logprob_of(logits_RV, targets_R), *top_entropy_and_mass(logits_RV), logits_RV.logsumexp(-1)], -1
    )


class ChunkedHead(nn.Module):
    """A linear LM head followed by log-probs, `chunk` positions at a time; a chunk's logits are computed again for
    its gradient.

    It holds the head's own parameters, and loops inside one forward pass: ZeRO-3 then gathers them once however many
    chunks a rank has.
    """

    def __init__(self, head: nn.Linear, chunk: int) -> None:
        super().__init__()
        self.weight = head.weight
        self.bias = head.bias
        self.chunk = chunk

    def forward(self, hidden_RD: Tensor, targets_R: Tensor, alignment: bool = False, probing: bool = False) -> Tensor:
        """Log-probs of the targets; see `logprob_of`. With `probing` what `probed` gives, and the hidden units,
        `[R, 4 + D]`."""

        def of_chunk(hidden_CD: Tensor, targets_C: Tensor) -> Tensor:
            logits_CV = linear(hidden_CD, self.weight, self.bias)
            if probing:
                return torch.cat([probed(logits_CV, targets_C), hidden_CD.float()], -1)
            return logprob_of(logits_CV, targets_C, alignment)

        pieces = [
            checkpoint(of_chunk, hidden_CD, targets_C, use_reentrant=False)
            for hidden_CD, targets_C in zip(
                torch.split(hidden_RD, self.chunk), torch.split(targets_R, self.chunk), strict=True
            )
        ]
        return torch.cat(pieces)


class PolicyModule(nn.Module):
    """A Hugging Face causal language model that returns log-probs of response tokens."""

    def __init__(self, model: PreTrainedModel, chunk: int) -> None:
        super().__init__()
        self.model = model
        head = model.get_output_embeddings()
        self.head = ChunkedHead(head, chunk) if isinstance(head, nn.Linear) and _head_is_all(model, head) else None
        if self.head is None:
            warnings.warn(
                f"{type(model).__name__} changes its logits after a linear head: full logits are used, which "
                "takes more memory",
                stacklevel=2,
            )

    def forward(
        self,
        ids_BL: Tensor,
        attention_BL: Tensor | None,
        response_BL: Tensor,
        positions_BL: Tensor | None = None,
        alignment: bool = False,
        probing: bool = False,
    ) -> Tensor:
        """Log-prob of every token that `response_BL` marks, `[R]` in float32 or wider, row by row; with `alignment`
        `[R, 2]`, see `logprob_of`; with `probing` what `ChunkedHead` gives then, without hidden units where there is
        none.

        The first four are a `loop.batches.Rendering`: rows padded on the right, or sequences packed into one row. A
        sequence's first token has no log-prob and must not be marked.
        """
        inputs = {"attention_mask": attention_BL, "position_ids": positions_BL, "use_cache": False}
        before_BL = response_BL[:, 1:]
        targets_R = ids_BL[:, 1:][before_BL]
        if self.head is None:
            logits_BLV = self.model(ids_BL, **inputs).logits
            logits_RV = logits_BLV[:, :-1][before_BL]
            return probed(logits_RV, targets_R) if probing else logprob_of(logits_RV, targets_R, alignment)
        hidden_BLD = self.model.base_model(ids_BL, **inputs).last_hidden_state
        output: Tensor = self.head(hidden_BLD[:, :-1][before_BL], targets_R, alignment, probing)
        return output


def _head_is_all(model: PreTrainedModel, head: nn.Linear) -> bool:
    """Whether logits are the linear head applied to the backbone's output: not if one is scaled or capped on the way.

    The head's output is enlarged for this one pass, so that a cap shows also where logits are small.
    """
    seen: list[Tensor] = []

    def enlarge(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        seen[:] = [inputs[0], output * 100]
        return seen[1]

    ids_BL = torch.arange(1, 9, device=head.weight.device)[None, :] % head.weight.shape[0]
    hook = head.register_forward_hook(enlarge)
    try:
        with torch.no_grad():
            logits_BLV = model(ids_BL, use_cache=False).logits
            hidden_BLD = model.base_model(ids_BL, use_cache=False).last_hidden_state
    finally:
        hook.remove()
    return bool(seen) and _close(seen[0], hidden_BLD) and _close(logits_BLV, seen[1])


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a.float() - b.float()).abs().max() <= _ROUNDING * b.float().abs().max())


def load_policy(path: str, revision: str | None, dtype: torch.dtype, chunk: int) -> PolicyModule:
    """The causal language model at `path` (folder or hub name) as a policy, on the CPU, without dropout.

    Dropout is switched off because a gradient must depend neither on the split into micro-batches nor on the rank.
    """
    config = AutoConfig.from_pretrained(path, revision=revision)
    for name, value in config.to_dict().items():
        if isinstance(value, float) and (name.endswith(("dropout", "_pdrop", "_dropout_prob"))):
            setattr(config, name, 0.0)
    arguments: dict[str, Any] = {"config": config, "revision": revision, "dtype": dtype, "use_safetensors": True}
    return PolicyModule(AutoModelForCausalLM.from_pretrained(path, **arguments), chunk)
