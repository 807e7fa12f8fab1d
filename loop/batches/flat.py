"""The flat batch: all sequences one after the other, and examples as ragged lists of them.

Axes: `_T` tokens of all sequences, `_A` anchors, `_N` examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from loop.batches.sequences import TokenSequence
from loop.errors import Refused
from loop.losses.parts import Kind, Needs
from loop.records import Example

ROLES: dict[Kind, tuple[str, ...]] = {"pair": ("chosen", "rejected"), "list": ("item",), "single": ("response",)}
"""The roles that a loss of each kind learns from; of an `item` there may be several."""


class Member(NamedTuple):
    """A response in an example: the index of its sequence, its role, and its label, if the pairing gave one."""

    sequence: int
    role: str
    label: float | None


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """Examples and the sequences that they refer to; a response that several examples use is stored once.

    Over tokens: `tokens_T` ids (int64), `segments_T` index of the token's sequence (non-decreasing), `response_T`
    whether the token belongs to the response, `loss_mask_T` whether it is learnt (only inside responses),
    `anchors_AT` its log-prob under each anchor (float32, 0 outside responses). Over examples: their ids, their members,
    and `strength_N`, `margin_N`, `weight_N`, `gain_N` (float32; of an example without a gain not a number).
    """

    tokens_T: Tensor
    segments_T: Tensor
    response_T: Tensor
    loss_mask_T: Tensor
    anchors_AT: Tensor
    sequences: int
    example_ids: tuple[str, ...]
    members_N: tuple[tuple[Member, ...], ...]
    strength_N: Tensor
    margin_N: Tensor
    weight_N: Tensor
    gain_N: Tensor


def require_fit(
    example_id: str, roles: Sequence[str], labelled: bool, kind: Kind, needs: Needs, gained: bool = False
) -> None:
    """Raises: Refused when a loss of that kind and those needs cannot learn from an example with those roles, with
    labels or none, and with a gain or none."""
    for role in (*ROLES[kind], *needs.others):
        found = roles.count(role)
        if found == 0 or (found > 1 and role != "item"):
            raise Refused(
                f"example {example_id} has {found or 'no'} response{'s' * (found > 1)} in the role {role!r}, "
                f"of which the loss needs {'at least one' if role == 'item' else 'exactly one'}"
            )
    if (needs.labels or kind == "list") and not labelled:
        raise Refused(f"example {example_id} has no labels, which the loss reads")
    if needs.certainty and not gained:
        raise Refused(f"example {example_id} does not say how certain it is, which the loss reads")


def example_batch(examples: Sequence[Example], sequences: Mapping[str, TokenSequence]) -> FlatBatch:
    """Examples and the sequences of their members as one flat batch."""
    used = dict.fromkeys(response_id for example in examples for response_id in example.response_ids)
    segment = {response_id: index for index, response_id in enumerate(used)}

    def members(example: Example) -> tuple[Member, ...]:
        labels: Sequence[float | None] = example.labels or [None] * len(example.response_ids)
        found = zip(example.response_ids, example.roles, labels, strict=True)
        return tuple(Member(segment[response_id], role, label) for response_id, role, label in found)

    return replace(
        flat_batch([sequences[response_id] for response_id in segment]),
        example_ids=tuple(example.example_id for example in examples),
        members_N=tuple(members(example) for example in examples),
        strength_N=torch.tensor([example.strength for example in examples], dtype=torch.float32),
        margin_N=torch.tensor([example.margin for example in examples], dtype=torch.float32),
        weight_N=torch.tensor([example.weight for example in examples], dtype=torch.float32),
        gain_N=torch.tensor([nan if one.gain is None else one.gain for one in examples], dtype=torch.float32),
    )


def flat_batch(sequences: Sequence[TokenSequence]) -> FlatBatch:
    """Sequences, all with the same anchors, as a flat batch without examples."""
    lengths = [len(s.tokens_T) for s in sequences]
    anchors = len(sequences[0].anchors_AR) if sequences else 0

    def joined(arrays: list[np.ndarray], dtype: np.typing.DTypeLike) -> Tensor:
        return torch.from_numpy(np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype, copy=False))

    def behind_prompts(arrays: list[np.ndarray], dtype: np.typing.DTypeLike) -> Tensor:
        pairs = zip(sequences, arrays, strict=True)
        return joined([part for s, array in pairs for part in (np.zeros(s.prompt_length, dtype), array)], dtype)

    anchors_AT = [behind_prompts([s.anchors_AR[a] for s in sequences], np.float32) for a in range(anchors)]
    none_N = torch.zeros(0)
    return FlatBatch(
        tokens_T=joined([s.tokens_T for s in sequences], np.int64),
        segments_T=torch.repeat_interleave(torch.arange(len(sequences)), torch.tensor(lengths, dtype=torch.int64)),
        response_T=behind_prompts([np.ones(len(s.loss_mask_R), np.bool_) for s in sequences], np.bool_),
        loss_mask_T=behind_prompts([s.loss_mask_R for s in sequences], np.bool_),
        anchors_AT=torch.stack(anchors_AT) if anchors_AT else torch.zeros(0, sum(lengths)),
        sequences=len(sequences),
        example_ids=(),
        members_N=(),
        strength_N=none_N,
        margin_N=none_N,
        weight_N=none_N,
        gain_N=none_N,
    )


def to_device(batch: FlatBatch, device: torch.device) -> FlatBatch:
    """The batch with all of its tensors on `device`."""
    moved = {name: value.to(device) for name in batch.__slots__ if isinstance(value := getattr(batch, name), Tensor)}
    return replace(batch, **moved)  # type: ignore[arg-type]
