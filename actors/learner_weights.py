"""The policy's weights outside the learner: layer by layer to the rollout engines, or whole into a Hugging Face
folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from torch import Tensor, nn

from loop.config import ModelConfig
from loop.errors import StoreFailed
from loop.push import Manifest, TensorSpec, layer_groups
from loop.store import told_plainly

if TYPE_CHECKING:
    from actors.learner_engine import Engine
    from actors.policy_module import PolicyModule

# What belongs to a checkpoint besides weights and configuration, where the source model has it.
_COMPANIONS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "chat_template.jinja",
    "generation_config.json",
)


def gathered_groups(engine: Engine, keep: bool) -> Iterator[dict[str, Tensor]]:
    """Weights in layer groups under their checkpoint names, copied to the CPU; a tied LM head appears under its own
    name too.

    Every rank must run through this in lockstep (ZeRO-3 gathers one group at a time); ranks that do not `keep` get
    empty groups.
    """
    tensors = engine.module.model.state_dict(keep_vars=True)
    for names in layer_groups(list(tensors)):
        parameters = list({id(t): t for t in map(tensors.__getitem__, names) if isinstance(t, nn.Parameter)}.values())
        with engine.gathered(parameters):
            group = {name: tensors[name].detach().to("cpu", copy=True) for name in names} if keep else {}
        yield group


def frozen_groups(module: PolicyModule) -> Iterator[dict[str, Tensor]]:
    """What `gathered_groups` gives, of a policy that one process holds whole."""
    tensors = module.model.state_dict()
    for names in layer_groups(list(tensors)):
        yield {name: tensors[name] for name in names}


def stream(groups: Iterator[dict[str, Tensor]], version: str) -> Iterator[dict[str, Tensor] | Manifest]:
    """The layer groups, then the manifest with digests taken on the way."""
    specs: list[TensorSpec] = []
    for group in groups:
        specs += [TensorSpec.of(name, tensor) for name, tensor in group.items()]
        yield group
    yield Manifest(version, tuple(specs))


def export(engine: Engine, source: ModelConfig, folder: str, card: str, keep: bool) -> None:
    """Write the weights as a Hugging Face checkpoint (sharded safetensors) with the source model's tokenizer and
    generation configuration and `card` as its README. The folder appears only when it is complete, and replaces one
    of the same name. Raises: StoreFailed."""
    state = {name: tensor for group in gathered_groups(engine, keep) for name, tensor in group.items()}
    if not keep:
        return
    target = Path(folder)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with told_plainly(folder):
            _write(engine, source, temporary, card, state)
            if target.exists():
                shutil.rmtree(target)
            os.replace(temporary, target)
    except SafetensorError as error:
        raise StoreFailed(f"The checkpoint {folder} could not be written: {error}") from error


def _write(engine: Engine, source: ModelConfig, folder: Path, card: str, state: dict[str, Tensor]) -> None:
    from transformers.utils import cached_file

    engine.module.model.save_pretrained(folder, state_dict=_untied(engine.module, state), max_shard_size="5GB")
    for name in _COMPANIONS:
        found = cached_file(source.path, name, revision=source.revision, _raise_exceptions_for_missing_entries=False)
        if found is not None:
            shutil.copyfile(found, folder / name)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _untied(module: PolicyModule, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the second names of tied weights: a checkpoint stores a tensor once."""
    once = {name for name, _ in module.model.named_parameters()} | {name for name, _ in module.model.named_buffers()}
    return {name: tensor for name, tensor in state.items() if name in once}
