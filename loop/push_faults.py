"""What was wrong with the tensors of a push: what arrived, against the manifest of what was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from loop.push import Manifest, TensorSpec, decoder_layer, layer_groups

_SHOWN = 6  # names spelled out in one sentence


def manifest_faults(received: Sequence[TensorSpec], manifest: Manifest, previous: Manifest | None) -> list[str]:
    """Compare what arrived with what was announced.

    Args:
        received: every tensor as the engine loaded it, in order, repetitions included.
        manifest: what the learner says it sent.
        previous: the manifest of the version that the engine held before, where there was one.

    Returns:
        One sentence per fault; empty when everything arrived, once and unchanged.
    """
    faults = [
        *_repetitions(received),
        *_omissions(received, manifest),
        *_additions(received, manifest),
        *_changes({spec.name: spec for spec in received}, manifest, previous),
    ]
    if previous is not None and manifest.version != previous.version and manifest.digest == previous.digest:
        faults.append(
            f"version {manifest.version} was announced with the content of the previous version {previous.version}"
        )
    return faults


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[:_SHOWN]) + more


def _were(names: Sequence[str]) -> str:
    return f"{_quoted(names)} {'was' if len(names) == 1 else 'were'}"


def _repetitions(received: Sequence[TensorSpec]) -> Iterator[str]:
    twice = [name for name, times in Counter(spec.name for spec in received).items() if times > 1]
    if twice:
        yield f"{_quoted(twice)} arrived more than once"


def _additions(received: Sequence[TensorSpec], manifest: Manifest) -> Iterator[str]:
    announced = {spec.name for spec in manifest.tensors}
    extra = list(dict.fromkeys(spec.name for spec in received if spec.name not in announced))
    if extra:
        yield f"{_were(extra)} sent without being announced"


def _omissions(received: Sequence[TensorSpec], manifest: Manifest) -> Iterator[str]:
    arrived = {spec.name for spec in received}
    missing = [spec.name for spec in manifest.tensors if spec.name not in arrived]
    for group in layer_groups([spec.name for spec in manifest.tensors]):
        layer = decoder_layer(group[0])
        if layer is not None and arrived.isdisjoint(group):
            yield f"decoder layer {layer} was omitted ({len(group)} tensors: {_quoted(group)})"
            missing = [name for name in missing if name not in group]
    heads = [name for name in missing if name.split(".")[0] == "lm_head"]
    if heads:
        yield f"the LM head was omitted ({_quoted(heads)})"
    others = [name for name in missing if name not in heads]
    if others:
        yield f"{_were(others)} omitted"


def _changes(received: Mapping[str, TensorSpec], manifest: Manifest, previous: Manifest | None) -> Iterator[str]:
    announced = {spec.name: spec for spec in manifest.tensors}
    changed = {
        name: spec for name, spec in received.items() if name in announced and spec.digest != announced[name].digest
    }
    yield from _stale(changed, announced, manifest.version, previous)
    yield from _exchanged(changed, announced)
    for name, spec in changed.items():
        wanted = announced[name]
        if (spec.shape, spec.dtype) != (wanted.shape, wanted.dtype):
            yield f"`{name}` arrived as {spec.dtype}{list(spec.shape)} instead of {wanted.dtype}{list(wanted.shape)}"
        else:
            yield f"`{name}` arrived with other content than was announced"


def _stale(
    changed: dict[str, TensorSpec], announced: Mapping[str, TensorSpec], version: str, previous: Manifest | None
) -> Iterator[str]:
    """Tensors that still hold the previous version; explained names are taken out of `changed`."""
    if previous is None:
        return
    before = {spec.name: spec.digest for spec in previous.tensors}
    stale = [name for name, spec in changed.items() if before.get(name) == spec.digest]
    differing = {name for name, spec in announced.items() if before.get(name) != spec.digest}
    for name in stale:
        del changed[name]
    if stale and differing <= set(stale):
        announced_as = f"was sent again although {version} was announced"
        yield f"the previous version {previous.version} {announced_as} ({_quoted(stale)})"
    elif stale:
        carry = "carries" if len(stale) == 1 else "carry"
        yield f"{_quoted(stale)} still {carry} the content of the previous version {previous.version}"


def _exchanged(changed: dict[str, TensorSpec], announced: Mapping[str, TensorSpec]) -> Iterator[str]:
    """Tensors that hold what was announced under another name; explained names are taken out of `changed`."""
    for name in list(changed):
        if name not in changed:
            continue
        sources = [other for other, spec in announced.items() if spec.digest == changed[name].digest]
        if not sources:
            continue
        partner = next((s for s in sources if s in changed and changed[s].digest == announced[name].digest), None)
        del changed[name]
        if partner is None:
            yield f"`{name}` carries the content of `{sources[0]}`"
        else:
            del changed[partner]
            yield f"`{name}` carries the content of `{partner}` and the reverse"
