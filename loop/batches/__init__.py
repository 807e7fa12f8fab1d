"""Learner batches: sequences concatenated into flat arrays, with examples that refer to them. Padding and packing are
renderings of a flat batch, made where a model needs them; `batch_of` sums its tokens for a loss."""

from loop.batches.flat import FlatBatch, Member, example_batch, flat_batch, require_fit, to_device
from loop.batches.for_losses import batch_of
from loop.batches.plan import Size, Step, plan, sizes_of
from loop.batches.rendering import Rendering, packed, padded
from loop.batches.sequences import TokenSequence, sequence_of

__all__ = [
    "FlatBatch",
    "Member",
    "Rendering",
    "Size",
    "Step",
    "TokenSequence",
    "batch_of",
    "example_batch",
    "flat_batch",
    "packed",
    "padded",
    "plan",
    "require_fit",
    "sequence_of",
    "sizes_of",
    "to_device",
]
