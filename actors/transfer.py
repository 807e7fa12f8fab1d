"""Weights into a live vLLM model: what every transport shares, and the transport through Ray's object store.

Imported only after `actors.engine` has set vLLM's environment. The base classes and the layer-wise reload are vLLM
0.32's (`vllm.distributed.weight_transfer`, `vllm.model_executor.model_loader.reload`); ours are the digests and the
count of what arrived.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch
from vllm.distributed.weight_transfer.base import WeightTransferEngine, WeightTransferInitInfo, WeightTransferUpdateInfo
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.model_executor.layers.attention import is_deferred_attention_layer
from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload
from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info
from vllm.model_executor.model_loader.reload.utils import get_tensor_load_numel

from loop.push import TensorSpec

BACKEND = "ratchet_object_store"

TIED_HEAD = "lm_head.weight"
"""The name under which a learner sends the LM head, tied or not."""


@dataclass(frozen=True, slots=True)
class Received:
    """What one push left in an engine: every tensor as it arrived, and a sentence per module that did not get all
    of its elements."""

    tensors: tuple[TensorSpec, ...]
    incomplete: tuple[str, ...]


@dataclass
class StoreInit(WeightTransferInitInfo):
    """Nothing to agree on: no process group, no ports."""


@dataclass
class StoreUpdate(WeightTransferUpdateInfo):
    """Some tensors under their checkpoint names."""

    tensors: dict[str, torch.Tensor]


InitInfo = TypeVar("InitInfo", bound=WeightTransferInitInfo)
UpdateInfo = TypeVar("UpdateInfo", bound=WeightTransferUpdateInfo)


class CountedTransfer(WeightTransferEngine[InitInfo, UpdateInfo]):
    """What transports share: a layer-wise reload that digests what arrives and counts what each module got.

    A transport says how tensors arrive. One per vLLM worker; `received` describes the update in progress or the last.
    """

    supports_draft_weight_update = False

    _tensors: list[TensorSpec]
    _incomplete: tuple[str, ...]

    @abstractmethod
    def arriving(self, update_info: UpdateInfo) -> Iterator[tuple[str, torch.Tensor]]:
        """The tensors of one group under their checkpoint names, as they arrive."""

    @property
    def received(self) -> Received:
        """What has arrived since the update began."""
        return Received(tuple(self._tensors), self._incomplete)

    def start_weight_update(self) -> None:
        """Open an update: parameters wait on the meta device until their module is complete."""
        self._tensors, self._incomplete = [], ()
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, object]) -> None:
        """Load one group of tensors (vLLM's own method synchronises an accelerator, which a CPU does not have)."""
        self.receive_weights(self.parse_update_info(update_info))
        if self.device.type != "cpu":
            torch.accelerator.synchronize()

    def receive_weights(self, update_info: UpdateInfo) -> None:
        """Digest every tensor at the moment at which the model takes it.

        A model may compute with its embedding where others have a tied LM head, and then knows no such name (Gemma 2):
        the head is digested like the rest but goes no further.

        When the model refuses one, vLLM ends the update at once; the model is brought back into service form first, or
        what has arrived so far would count towards the next update.
        """

        headless = self._has_no_tied_head()

        def taken() -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in self.arriving(update_info):
                self._tensors.append(TensorSpec.of(name, tensor))
                if not (headless and name == TIED_HEAD):
                    yield name, tensor

        try:
            self.model.load_weights(taken())
        except BaseException:
            self.discard()
            finalize_layerwise_reload(self.model, self.model_config)
            raise

    def _has_no_tied_head(self) -> bool:
        if not getattr(self.model_config.hf_text_config, "tie_word_embeddings", False):
            return False
        head = TIED_HEAD.split(".")[0]
        # a head that is the very module of the embedding counts, nested ones (multimodal models) too
        names = (name for name, _ in self.model.named_modules(remove_duplicate=False))
        return all(name.rsplit(".", 1)[-1] != head for name in names)

    def discard(self) -> None:
        """Forget the tensors that wait for the rest of their module, which keeps what it had: at the end vLLM would
        load them, fitting or not."""
        for module in self.model.modules():
            info = get_layerwise_info(module)
            if info.can_load():
                info.loaded_weights.clear()
                info.load_numel = 0

    def finish_weight_update(self) -> None:
        """Count what each module got, while vLLM still knows, then put the model back into service form."""
        self._incomplete = tuple(_incomplete_modules(self.model))
        finalize_layerwise_reload(self.model, self.model_config)

    def shutdown(self) -> None:
        """Nothing to release."""


class StoreTransfer(CountedTransfer[StoreInit, StoreUpdate]):
    """Tensors are call arguments, which Ray takes from its object store."""

    init_info_cls = StoreInit
    update_info_cls = StoreUpdate

    def init_transfer_engine(self, init_info: StoreInit) -> None:
        """Nothing to set up."""

    def arriving(self, update_info: StoreUpdate) -> Iterator[tuple[str, torch.Tensor]]:
        """They are there already."""
        return iter(update_info.tensors.items())


def _incomplete_modules(model: torch.nn.Module) -> Iterator[str]:
    """Modules whose parameters did not all arrive since the reload began.

    A module that is complete was put into service at once and no longer counts; attention layers wait for the end by
    design and hold at most scales that a checkpoint need not have; buffers (rotary tables) are computed, never sent.
    """
    for name, module in model.named_modules():
        info = get_layerwise_info(module)
        if not info.can_load() or is_deferred_attention_layer(module):
            continue
        wanted = _checkpoint_elements(module)
        if info.load_numel < wanted:
            yield f"module {name} got {info.load_numel} of {wanted} elements"


def _checkpoint_elements(module: torch.nn.Module) -> int:
    """Elements that a checkpoint holds for the module's own parameters, without vLLM's padding of the vocabulary."""
    total = 0
    for parameter in module.parameters(recurse=False):
        elements = get_tensor_load_numel(parameter)
        if isinstance(module, VocabParallelEmbedding):
            shard = module.shard_indices
            real = shard.num_org_elements + shard.num_added_elements
            elements = elements // shard.num_elements_padded * real
        total += elements
    return total


@cache
def register() -> str:
    """Make the transport known to vLLM, once per process, each engine having its own instance; returns its name."""
    WeightTransferEngineFactory.register_engine(BACKEND, StoreTransfer)
    return BACKEND
