"""A push, from the driver's side: groups of tensors go from the learner to every engine as references; the driver reads
nothing but the manifest. Transport: Ray's object store (run on one machine, CPU).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayTaskError

from actors.calls import wait
from loop.errors import InfrastructureFailed, RatchetError
from loop.push import Manifest, ProbeReport, Reading, diagnose

_IN_FLIGHT = 2  # groups that engines may be loading while the next one is on its way


def push_weights(
    stream: Iterator[Any], engines: Sequence[Any], version: str, previous: Manifest | None, timeout_s: float
) -> Manifest:
    """Move one policy version into all engines.

    Args:
        stream: references to one `dict[str, torch.Tensor]` per layer group and, last, to the `Manifest`. It bounds its
            own waits, and is read to its end whatever happens: ranks of a learner move through it together.
        engines: handles of `RolloutActor`s.
        version: what the engines serve afterwards.
        previous: the manifest of the version that the engines held before, where there was one.
        timeout_s: longest wait for any single step of an engine.

    Returns:
        The manifest, which every engine has confirmed.

    Raises:
        InfrastructureFailed: an engine or the learner failed, was silent for too long, or did not get what was sent;
            engines that failed serve nothing until a push succeeds.
    """
    doing = f"pushing version {version}"
    try:
        _gather([engine.begin_push.remote(version) for engine in engines], timeout_s, doing)
        manifest = _manifest(_forward(stream, engines, timeout_s, doing), version, timeout_s, doing)
        _gather([engine.finish_push.remote(manifest, previous) for engine in engines], timeout_s, doing)
    except (InfrastructureFailed, RayTaskError):
        for _ in stream:
            pass
        raise
    return manifest


def _forward(stream: Iterator[Any], engines: Sequence[Any], timeout_s: float, doing: str) -> Any:
    """Hand every reference but the last to all engines; returns the last."""
    loading: list[list[Any]] = []
    last: Any = None
    for ref in stream:
        if last is not None:
            loading.append([engine.load.remote(last) for engine in engines])
        last = ref
        if len(loading) > _IN_FLIGHT:
            _gather(loading.pop(0), timeout_s, doing)
    for calls in loading:
        _gather(calls, timeout_s, doing)
    return last


def probe(
    engines: Sequence[Any],
    texts_T: list[list[int]],
    learner: Reading,
    previous_learner: Reading | None,
    tolerance: float,
    timeout_s: float,
) -> list[ProbeReport]:
    """Compare the weights in effect in every engine with the learner's.

    Returns:
        One report per engine, all without faults.

    Raises:
        InfrastructureFailed: some engine disagrees; it serves nothing until a push succeeds.
    """
    doing = "probing the engines"
    texts = ray.put(texts_T)
    readings = _gather([engine.read_probe.remote(texts) for engine in engines], timeout_s, doing)
    reports = [diagnose(reading, learner, previous_learner, tolerance) for reading in readings]
    faulty = [(at, "; ".join(report.faults)) for at, report in enumerate(reports) if report.faults]
    if faulty:
        why = "the probe after its last push found a fault"
        _gather([engines[at].quarantine.remote(why) for at, _ in faulty], timeout_s, doing)
        raise InfrastructureFailed("; ".join(f"engine {at}: {faults}" for at, faults in faulty) + ".")
    return reports


def _manifest(ref: Any, version: str, timeout_s: float, doing: str) -> Manifest:
    if ref is None:
        raise InfrastructureFailed(f"{doing}: the learner's stream was empty.")
    manifest = _get(ref, timeout_s, "the learner", doing)
    if not isinstance(manifest, Manifest):
        raise InfrastructureFailed(f"{doing}: the learner's stream ended without a manifest.")
    if manifest.version != version:
        raise InfrastructureFailed(f"{doing}: the learner sent the manifest of version {manifest.version}.")
    return manifest


def _get(ref: Any, timeout_s: float, who: str, doing: str) -> Any:
    """Wait for one result; a failure says whose it is."""
    try:
        return wait([ref], timeout_s, who)[0]
    except RatchetError as error:
        whose = "" if str(error).startswith(who) else f"{who}: "
        raise InfrastructureFailed(f"{doing}: {whose}{error}") from error


def _gather(refs: Sequence[Any], timeout_s: float, doing: str) -> list[Any]:
    """The results of one call to every engine."""
    return [_get(ref, timeout_s, f"engine {at}", doing) for at, ref in enumerate(refs)]
