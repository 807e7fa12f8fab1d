"""A push, from the driver's side: groups of tensors go from the learner to every engine as references; the driver reads
nothing but the manifest. Transport: Ray's object store (run on one machine, CPU).

An engine that dies or falls silent on the way is left behind: the others get the version all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from actors.calls import is_death, reason_of, translated, wait
from loop.crash import reached
from loop.errors import EnginesDied, InfrastructureFailed, RatchetError
from loop.push import Manifest, ProbeReport, Reading, diagnose

_IN_FLIGHT = 2  # groups that engines may be loading while the next one is on its way


def push_weights(
    stream: Iterator[Any], engines: Sequence[Any], version: str, previous: Manifest | None, timeout_s: float
) -> tuple[Manifest, list[Any]]:
    """Move one policy version into all engines.

    Args:
        stream: references to one `dict[str, torch.Tensor]` per layer group and, last, to the `Manifest`. It bounds its
            own waits, and is read to its end whatever happens: ranks of a learner move through it together.
        engines: handles of `RolloutActor`s.
        version: what the engines serve afterwards.
        previous: the manifest of the version that the engines held before, where there was one.
        timeout_s: longest wait for any single step of an engine.

    Returns:
        The manifest, which every engine has confirmed except those returned beside it: they died, were restarted or
        were silent for too long, and serve nothing until a push succeeds.

    Raises:
        ProcessDied: the learner died. EnginesDied: no engine is left.
        InfrastructureFailed: the learner failed, or an engine did not get what was sent; engines that failed serve
            nothing until a push succeeds.
    """
    manifest, audience = _push(stream, engines, version, previous, timeout_s)
    audience.require_some()
    return manifest, audience.failed


def refresh_engine(stream: Iterator[Any], engine: Any, version: str, timeout_s: float) -> bool:
    """Move the current version into one engine that came back; False: it died or was silent. Raises: as
    `push_weights`."""
    _, audience = _push(stream, [engine], version, None, timeout_s)
    return not audience.failed


def probe(
    engines: Sequence[Any],
    texts_T: list[list[int]],
    learner: Reading,
    previous_learner: Reading | None,
    tolerance: float,
    timeout_s: float,
) -> tuple[list[ProbeReport], list[Any]]:
    """Compare the weights in effect in every engine with the learner's.

    Returns:
        One report per engine that answered, all without faults, and the engines that died or were silent.

    Raises:
        EnginesDied: no engine is left.
        InfrastructureFailed: some engine disagrees; it serves nothing until a push succeeds.
    """
    audience = _Audience(engines, timeout_s, "probing the engines")
    readings = audience.ask("read_probe", ray.put(texts_T))
    audience.require_some()
    reports = {at: diagnose(reading, learner, previous_learner, tolerance) for at, reading in readings.items()}
    faulty = {at: "; ".join(report.faults) for at, report in reports.items() if report.faults}
    if faulty:
        why = "the probe after its last push found a fault"
        audience.settle({at: engines[at].quarantine.remote(why) for at in faulty})
        raise InfrastructureFailed("; ".join(f"engine {at}: {faults}" for at, faults in faulty.items()) + ".")
    return list(reports.values()), audience.failed


class _Audience:
    """The engines that take part in something, less those that died or were silent on the way."""

    def __init__(self, engines: Sequence[Any], timeout_s: float, doing: str) -> None:
        self.engines = list(engines)
        self.timeout_s = timeout_s
        self.doing = doing
        self.lost: dict[int, str] = {}
        self._pids: dict[int, int] = {}

    @property
    def failed(self) -> list[Any]:
        """Handles of the engines that were lost."""
        return [self.engines[at] for at in sorted(self.lost)]

    def start(self, method: str, *arguments: Any) -> dict[int, Any]:
        """Call every engine that is left; references by the engine's place."""
        left = [at for at in range(len(self.engines)) if at not in self.lost]
        return {at: getattr(self.engines[at], method).remote(*arguments) for at in left}

    def settle(self, calls: dict[int, Any]) -> dict[int, Any]:
        """The results of started calls, of those engines that answered. Raises: InfrastructureFailed for a fault."""
        calls = {at: reference for at, reference in calls.items() if at not in self.lost}
        if not calls:
            return {}
        ready, _ = ray.wait(list(calls.values()), num_returns=len(calls), timeout=self.timeout_s)
        finished, results = set(ready), {}
        for at, reference in calls.items():
            if reference not in finished:
                self.lost[at] = f"not finished within {self.timeout_s:g} s"
                continue
            try:
                results[at] = ray.get(reference)
            except RayError as error:
                self._sort(at, error)
        return results

    def ask(self, method: str, *arguments: Any) -> dict[int, Any]:
        """`start`, then `settle`."""
        return self.settle(self.start(method, *arguments))

    def remember(self) -> None:
        """Note every engine's process, by which a restart is seen that happened between two calls."""
        self._pids = self.ask("__ray_call__", _pid)

    def require_some(self) -> None:
        """Raises: EnginesDied when every engine is lost."""
        if len(self.lost) == len(self.engines):
            told = "; ".join(f"engine {at}: {why}" for at, why in self.lost.items())
            raise EnginesDied(f"{self.doing}: no engine is left{f': {told}' if told else ''}")

    def _sort(self, at: int, error: RayError) -> None:
        """An engine that died is lost; anything else that went wrong is raised."""
        if is_death(error):
            self.lost[at] = f"a process died ({reason_of(error)})"
            return
        own = translated(error, f"engine {at}")
        if own is None:
            raise error
        if at in self._pids and self.settle({at: self.engines[at].__ray_call__.remote(_pid)}) != {at: self._pids[at]}:
            self.lost.setdefault(at, "it was restarted")
            return
        raise _prefixed(own, f"{self.doing}: ", f"engine {at}") from error


def _push(
    stream: Iterator[Any], engines: Sequence[Any], version: str, previous: Manifest | None, timeout_s: float
) -> tuple[Manifest, _Audience]:
    doing = f"pushing version {version}"
    audience = _Audience(engines, timeout_s, doing)
    try:
        audience.remember()
        audience.ask("begin_push", version)
        reached("push/begun")
        manifest = _manifest(_forward(stream, audience), version, timeout_s, doing)
        audience.ask("finish_push", manifest, previous)
        reached("push/finished")
    except (RatchetError, RayError):
        for _ in stream:
            pass
        raise
    return manifest, audience


def _forward(stream: Iterator[Any], audience: _Audience) -> Any:
    """Hand every reference but the last to all engines; returns the last."""
    loading: list[dict[int, Any]] = []
    handed_out = False
    last: Any = None
    for reference in stream:
        if last is not None:
            loading.append(audience.start("load", last))
            if not handed_out:
                handed_out = True
                reached("push/loading")
        last = reference
        if len(loading) > _IN_FLIGHT:
            audience.settle(loading.pop(0))
    for calls in loading:
        audience.settle(calls)
    return last


def _manifest(reference: Any, version: str, timeout_s: float, doing: str) -> Manifest:
    if reference is None:
        raise InfrastructureFailed(f"{doing}: the learner's stream was empty.")
    try:
        (manifest,) = wait([reference], timeout_s, "the learner")
    except RatchetError as error:
        raise _prefixed(error, f"{doing}: ", "the learner") from error
    if not isinstance(manifest, Manifest):
        raise InfrastructureFailed(f"{doing}: the learner's stream ended without a manifest.")
    if manifest.version != version:
        raise InfrastructureFailed(f"{doing}: the learner sent the manifest of version {manifest.version}.")
    return manifest


def _prefixed(error: RatchetError, doing: str, who: str) -> InfrastructureFailed:
    """The same failure, saying what failed of whom. Whatever fails in a push is infrastructure."""
    whose = "" if str(error).startswith(who) else f"{who}: "
    kind = type(error) if isinstance(error, InfrastructureFailed) else InfrastructureFailed
    return kind(f"{doing}{whose}{error}")


def _pid(engine: Any) -> int:
    """Runs inside an engine."""
    return os.getpid()
