"""A learner's resumable state as safetensors: each rank's fragments of the master weights and of AdamW's moments, by
parameter name and position, and its random-number generators.

A fragment says which elements of the flattened parameter it holds, so ranks of any number find theirs again. Nothing
is pickled. What DeepSpeed keeps where, by ZeRO stage and number format, is known in this file only.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from actors.learner_engine import Engine

WEIGHTS = "weights"
MOMENTS = ("exp_avg", "exp_avg_sq")
STEP = "step"

Piece = Callable[[str, str, int, int], Tensor | None]
"""(kind, parameter, start, length) -> those elements of the flattened parameter; None where there are none."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One rank's share of a parameter: `weights`, a flat view of the master copy, from element `start` of the flattened
    parameter on. AdamW keeps the moments for `owner`, in which the share begins at `offset`."""

    name: str
    start: int
    weights: Tensor
    owner: Tensor
    offset: int


def fragments(engine: Engine, rank: int) -> list[Fragment]:
    """This rank's share of every trained parameter. Without ZeRO the state is the same on all ranks, and whole."""
    names = {id(parameter): name for name, parameter in engine.module.named_parameters()}
    optimizer = engine.deepspeed.optimizer
    if engine.bare:
        return [Fragment(name, 0, p.detach().view(-1), p, 0) for name, p in engine.module.named_parameters()]
    if engine.stage == 0:
        return [Fragment(names[id(low)], 0, high.detach().view(-1), high, 0) for low, high in _copies(optimizer)]
    if engine.stage < 3:
        return _flat_fragments(optimizer, names)
    return _partitions(optimizer, names, rank)


def _copies(optimizer: Any) -> list[tuple[Tensor, Tensor]]:
    """Parameters and their float32 master copies (bfloat16 without ZeRO)."""
    groups = zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
    return [pair for low, high in groups for pair in zip(low, high, strict=True)]


def _flat_fragments(optimizer: Any, names: dict[int, str]) -> list[Fragment]:
    """ZeRO 1 and 2 cut the concatenation of all parameters into equal parts."""
    found = []
    for group, flat in zip(optimizer.bit16_groups, optimizer.single_partition_of_fp32_groups, strict=True):
        for parameter in group:
            if (mapping := parameter._hp_mapping) is not None:
                place = mapping.hp_fragment_address
                weights = flat.detach().narrow(0, place.start, place.numel)
                start = mapping.lp_fragment_address.start
                found.append(Fragment(names[id(parameter)], start, weights, flat, place.start))
    return found


def _partitions(optimizer: Any, names: dict[int, str], rank: int) -> list[Fragment]:
    """ZeRO 3 cuts each parameter into equal parts, the last one padded."""
    found = []
    for group, flat in zip(optimizer.fp16_groups, optimizer.fp32_partitioned_groups_flat, strict=True):
        for parameter in group:
            _, offset, length = optimizer.grad_position[optimizer.get_param_id(parameter)]
            start = rank * length
            if (length := min(length, parameter.ds_numel - start)) > 0:
                weights = flat.detach().narrow(0, offset, length)
                found.append(Fragment(names[id(parameter)], start, weights, flat, offset))
    return found


def write(engine: Engine, rank: int, file: Path) -> None:
    """This rank's part of a checkpoint. Where all ranks hold the same, rank 0 writes it."""
    state = engine.deepspeed.basic_optimizer.state
    mine = fragments(engine, rank) if engine.stage or rank == 0 else []
    tensors: dict[str, Tensor] = {}
    for fragment in mine:
        tensors[f"{WEIGHTS}/{fragment.name}"] = fragment.weights
        if moments := state.get(fragment.owner):
            tensors[f"{STEP}/{fragment.name}"] = moments[STEP].clone()
            for kind in MOMENTS:
                flat = moments[kind].detach().view(-1)
                tensors[f"{kind}/{fragment.name}"] = flat.narrow(0, fragment.offset, len(fragment.weights))
    starts = json.dumps({fragment.name: fragment.start for fragment in mine})
    on_cpu = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    save_file(on_cpu, file, {"starts": starts, "generators": json.dumps(generators())})


class Saved:
    """The parts of a checkpoint, opened for reading."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = [safe_open(file, "pt") for file in files]
        self._places: dict[str, list[tuple[Any, int]]] = {}
        for file in self._files:
            starts = json.loads(file.metadata()["starts"])
            for key in file.keys():  # noqa: SIM118  not a mapping
                self._places.setdefault(key, []).append((file, starts[key.partition("/")[2]]))

    def piece(self, kind: str, name: str, start: int, length: int) -> Tensor | None:
        """See `Piece`. Raises: ValueError when the parts do not hold all of it."""
        places = self._places.get(f"{kind}/{name}", [])
        if kind == STEP or not places:
            return places[0][0].get_tensor(f"{kind}/{name}") if places else None
        whole = torch.empty(length)
        found = 0
        for file, at in places:
            stored = file.get_slice(f"{kind}/{name}")
            first, last = max(start, at), min(start + length, at + stored.get_shape()[0])
            if first < last:
                whole[first - start : last - start] = stored[first - at : last - at]
                found += last - first
        if found != length:
            raise ValueError(f"the checkpoint holds {found} of {length} elements of {name}")
        return whole


def generators_in(file: Path) -> list[Any]:
    """The random-number generators as stored in a part."""
    return list(json.loads(safe_open(file, "pt").metadata()["generators"]))


def fill(engine: Engine, rank: int, piece: Piece, carry: bool) -> None:
    """Put weights and, with `carry`, moments into this rank's fragments; without, the moments are cleared. All ranks
    must call `refresh` afterwards."""
    state = engine.deepspeed.basic_optimizer.state
    state.clear()
    with torch.no_grad():
        for one in fragments(engine, rank):
            length = len(one.weights)
            weights = piece(WEIGHTS, one.name, one.start, length)
            if weights is None:
                raise ValueError(f"the checkpoint does not hold {one.name}")
            one.weights.copy_(weights)
            step = piece(STEP, one.name, one.start, length) if carry else None
            if step is None:
                continue
            if one.owner not in state:
                state[one.owner] = {STEP: step, **{kind: torch.zeros_like(one.owner) for kind in MOMENTS}}
            for kind in MOMENTS:
                values = piece(kind, one.name, one.start, length)
                state[one.owner][kind].view(-1).narrow(0, one.offset, length).copy_(values)


def refresh(engine: Engine) -> None:
    """Make the weights that the model computes with follow their master copies; all ranks together."""
    optimizer = engine.deepspeed.optimizer
    if engine.bare:
        return
    if engine.stage == 0:
        for low, high in _copies(optimizer):
            low.data.copy_(high.data)
    elif engine.stage < 3:
        optimizer.update_lp_params()
    else:
        optimizer.checkpoint_event_prologue()
        for group in range(len(optimizer.fp16_groups)):
            optimizer._reassign_or_swap_out_partitioned_parameters(group)
        optimizer.checkpoint_event_epilogue()


def generators() -> list[Any]:
    """The state of the random-number generators of Python, NumPy and torch (CPU, accelerator), as plain data."""
    name, keys, *rest = np.random.get_state(legacy=True)
    cuda = torch.cuda.get_rng_state().numpy().tobytes().hex() if torch.cuda.is_available() else None
    cpu = torch.get_rng_state().numpy().tobytes().hex()
    return [list(random.getstate()), [name, np.asarray(keys).tolist(), *rest], cpu, cuda]


def set_generators(state: list[Any]) -> None:
    """The inverse of `generators`."""
    (version, words, gauss), (name, keys, *rest), cpu, cuda = state
    random.setstate((version, tuple(words), gauss))
    np.random.set_state((name, np.asarray(keys, np.uint32), *rest))
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(cpu), dtype=torch.uint8))
    if cuda is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.frombuffer(bytearray.fromhex(cuda), dtype=torch.uint8))


def seed_generators(seed: int) -> None:
    """Start all generators of this process from one seed."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
