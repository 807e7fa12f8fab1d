"""A push, without actors: the manifest of what is sent, the order of sending, and the probe of what is in effect.

Checksums of received tensors do not prove that an engine computes with them (a prepacked LM head, a stale prefix
cache), and differing log-probs do not say which tensor went wrong; so a push is judged by its manifest
(`loop.push_faults`) and by the probe, and each finding is one sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import xxhash

from loop.errors import Refused
from loop.records import digest_of

_LAYER = re.compile(r"^(?:.*?\.)?(\d+)\.")
_EMBEDDING = re.compile(r"embed|(?:^|\.)w[tp]e\.")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor under its checkpoint name. `digest` covers content, dtype and shape."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    digest: str

    @classmethod
    def of(cls, name: str, tensor: torch.Tensor) -> TensorSpec:
        """Describe a tensor; it is copied to the CPU when it lies elsewhere."""
        return cls(name, tuple(tensor.shape), _dtype_name(tensor), tensor_digest(tensor))


@dataclass(frozen=True, slots=True)
class Manifest:
    """All tensors of one policy version, a tied LM head spelled out under its own name."""

    version: str
    tensors: tuple[TensorSpec, ...]

    @property
    def digest(self) -> str:
        """Digest of the tensors' digests, independent of their order."""
        return digest_of(sorted([spec.name, spec.digest] for spec in self.tensors))


def _dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def tensor_digest(tensor: torch.Tensor) -> str:
    """XXH3-128 (hex) of dtype, shape and raw bytes: guards against mistakes in transport, not against an adversary."""
    content = xxhash.xxh3_128(f"{_dtype_name(tensor)}{tuple(tensor.shape)}".encode())
    content.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()


def decoder_layer(name: str) -> int | None:
    """Index of the decoder layer that a tensor belongs to: the outermost number in its name (experts' lie deeper)."""
    match = _LAYER.match(name)
    return int(match.group(1)) if match else None


def layer_groups(names: Sequence[str]) -> list[list[str]]:
    """Names in the order of sending: embeddings, then one group per decoder layer, then the final norm and LM head."""
    first: list[str] = []
    last: list[str] = []
    layers: dict[int, list[str]] = {}
    for name in names:
        layer = decoder_layer(name)
        if layer is not None:
            layers.setdefault(layer, []).append(name)
        else:
            (first if _EMBEDDING.search(name) else last).append(name)
    groups = [first, *(layers[at] for at in sorted(layers)), last]
    return [group for group in groups if group]


def refuse_oversized(model_bytes: int, max_store_gb: float) -> None:
    """Refuse a model that the object store should not carry.

    Raises:
        Refused: the tensors of one version exceed `push.max_store_gb` (1 GB is 1e9 bytes).
    """
    if model_bytes > max_store_gb * 1e9:
        raise Refused(
            f"the model's {model_bytes / 1e9:.1f} GB exceed push.max_store_gb={max_store_gb:g}, the most that may go "
            "through the object store; raise the limit if the store's memory allows it."
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """Log-probs of fixed texts under one set of weights, in nats.

    `forced` holds, per text, the log-prob of each token given its prefix, the first token excluded. `cached` holds, per
    text, the log-prob of its last token computed on top of whatever the prefix cache holds for the tokens before.
    """

    forced: tuple[tuple[float, ...], ...]
    cached: tuple[float, ...]

    @classmethod
    def without_cache(cls, forced: Sequence[Sequence[float]]) -> Reading:
        """A learner's reading: it has no cache, so the last token's log-prob is what a correct cache must reproduce."""
        return cls(tuple(tuple(text) for text in forced), tuple(text[-1] for text in forced))


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """`gap`: largest difference between engine and learner over both readings; infinite where one is not finite."""

    gap: float
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Gap:
    size: float
    text: int
    token: int


def _difference(a: float, b: float) -> float:
    return abs(a - b) if math.isfinite(a) and math.isfinite(b) else math.inf


def _forced_gap(a: Reading, b: Reading) -> _Gap:
    """The largest difference; tokens count from the text's first one, 0."""
    gaps = [
        _Gap(_difference(x, y), text, token + 1)
        for text, (ours, theirs) in enumerate(zip(a.forced, b.forced, strict=True))
        for token, (x, y) in enumerate(zip(ours, theirs, strict=True))
    ]
    return max(gaps, key=lambda gap: gap.size)


def _cached_gap(a: Reading, b: Reading) -> _Gap:
    gaps = [
        _Gap(_difference(x, y), text, len(a.forced[text]))
        for text, (x, y) in enumerate(zip(a.cached, b.cached, strict=True))
    ]
    return max(gaps, key=lambda gap: gap.size)


def diagnose(engine: Reading, learner: Reading, previous_learner: Reading | None, tolerance: float) -> ProbeReport:
    """Compare an engine's reading with the learner's, and say what a disagreement looks like.

    Args:
        engine: read from the engine after a push.
        learner: of the version pushed, on the same texts.
        previous_learner: of the version that the engine held before, where there was one.
        tolerance: largest difference accepted, in nats (see `allowed_gap`); infinite only measures, but values that are
            not finite stay faults.
    """
    forced, cached = _forced_gap(engine, learner), _cached_gap(engine, learner)
    faults: list[str] = []
    if forced.size > tolerance or math.isinf(forced.size):
        served = _forced_gap(engine, previous_learner) if previous_learner is not None else None
        if served is not None and served.size <= tolerance:
            faults.append(
                f"the engine still serves the previous version: its log-probs agree with it to {served.size:.2g} "
                f"and differ from the new one's by up to {forced.size:.2g} (text {forced.text}, token {forced.token})"
            )
        else:
            faults.append(
                f"the weights in effect differ from the learner's: largest difference {forced.size:.2g} "
                f"at text {forced.text}, token {forced.token} (allowed {tolerance:.2g})"
            )
    elif cached.size > tolerance or math.isinf(cached.size):
        faults.append(
            f"stale prefix cache: log-probs computed afresh agree with the learner's to {forced.size:.2g}, "
            f"through cached prefixes they differ by {cached.size:.2g} (text {cached.text}, allowed {tolerance:.2g})"
        )
    return ProbeReport(max(forced.size, cached.size), tuple(faults))


def allowed_gap(dtype: str, measured_at_start: float, tolerance: float) -> float:
    """Largest difference in log-prob that a push may leave.

    In float32 the tolerance; else learner and engine round differently, and three times the gap measured when both had
    loaded the same checkpoint is allowed, if that is more.
    """
    return tolerance if dtype == "float32" else max(tolerance, 3.0 * measured_at_start)


def fixed_texts(pool_T: Sequence[Sequence[int]], count: int, length: int) -> list[list[int]]:
    """Texts for the probe: `count` sequences of `length` tokens, each begun at another prompt of the pool, chained on.

    A prefix cache only holds whole blocks of tokens, so a text shows a stale cache only when it is longer than a block.
    """
    filled = [tokens for tokens in pool_T if tokens]
    if not filled or length < 2:
        raise Refused("the probe needs at least one prompt that is not empty, and texts of at least two tokens.")
    texts: list[list[int]] = []
    for start in range(count):
        text: list[int] = []
        at = start
        while len(text) < length:
            text.extend(filled[at % len(filled)])
            at += 1
        texts.append(text[:length])
    return texts
