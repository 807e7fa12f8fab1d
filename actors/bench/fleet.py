"""`ratchet bench fleet`: what giving work to actors costs, and what reaches the driver.

Engines are stand-ins without a model. *Dispatch*: they do nothing, so all time is the fleet's and Ray's; the same
pattern of bare Ray calls beside it is the floor. *Driver*: they return handles of shards of responses; how much the
driver receives, and how much its memory grows, must not depend on the rows behind them.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import psutil
import ray

from actors import cluster
from actors.fleet import Fleet
from actors.supervised import RESTARTABLE
from loop.config import ClusterConfig
from loop.fleet_actor import FleetLimits
from loop.ledger import Ledger
from loop.records import Response, ShardRef, digest_of
from loop.sampling import GenerateRequest, Sampling
from loop.shards import write_shard

ACTORS = 2
IN_FLIGHT = 2
ITEMS = 2_500
"""Items of one timed pass."""

PASSES = 3
"""Of the fleet and of bare Ray, in turn."""

WARM_UP = 300
"""Items before any figure is taken."""

TOKENS = 1_000
"""Of a row."""

SHARD_ROWS = 512
WRITTEN = 10_000
"""Rows that are really written and committed; beyond them only handles are made."""

SIZES = (WRITTEN, 100_000, 1_000_000)
SAMPLING = Sampling(1.0, 1.0, 0, 0, TOKENS, ())


class StandIn:
    """An engine without a model."""

    def __init__(self, store: str) -> None:
        self.store = store

    def generate(self, request: GenerateRequest) -> ShardRef:
        """The handle of a shard that nobody wrote."""
        rows = request.k * len(request.prompt_ids)
        path = f"{self.store}/{request.table}/round-{request.round:06d}-shard-{request.shard:06d}-{'0' * 64}.parquet"
        return ShardRef(request.table, request.round, request.shard, path, rows, "0" * 64, _stats(rows))

    def write(self, request: GenerateRequest) -> ShardRef:
        """The same, with rows of `TOKENS` tokens, log-probs and mask, really written."""
        noise = np.random.default_rng(request.shard)
        rows = [_row(request, prompt, k, noise) for prompt in request.prompt_ids for k in range(request.k)]
        return write_shard(self.store, request.table, request.round, request.shard, rows, Response, _stats(len(rows)))


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One way of giving `items` no-op calls to the actors: milliseconds between two answers, and wall time per item."""

    items: int
    median_ms: float
    p90_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True)
class Received:
    """What one round of responses left with the driver. `growth_mib`: of its resident memory, at its largest."""

    responses: int
    shards: int
    rows_written: bool
    received_bytes: int
    growth_mib: float
    seconds: float
    file_bytes: int | None


def bench_fleet(as_json: bool) -> int:
    """Measure and print; the exit status."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        store = f"{folder}/ledger"
        load = os.getloadavg()[0]
        cluster.connect(ClusterConfig(), threads=1)
        try:
            actor = ray.remote(StandIn).options(num_cpus=0, **RESTARTABLE)
            engines = [actor.remote(store) for _ in range(ACTORS)]
            fleet = _fleet(engines)
            ledger = Ledger(store)
            ledger.claim()
            _receive(fleet, ledger, 0, 2 * SHARD_ROWS)
            figures = {
                "machine": {**_machine(), "load_before": load},
                "dispatch": _dispatch(fleet, engines),
                "driver": [asdict(_receive(fleet, ledger, at + 1, size)) for at, size in enumerate(SIZES)],
            }
        finally:
            ray.shutdown()
    print(json.dumps(figures, indent=2) if as_json else _told(figures))
    return 0


def _fleet(engines: list[Any]) -> Fleet[GenerateRequest, ShardRef]:
    limits = FleetLimits(
        in_flight=IN_FLIGHT, max_restarts=0, straggler_s=60.0, call_timeout_s=120.0, start_timeout_s=120.0
    )
    fleet: Fleet[GenerateRequest, ShardRef] = Fleet("bench", engines, limits)
    fleet.check()
    return fleet


def _dispatch(fleet: Fleet[GenerateRequest, ShardRef], engines: list[Any]) -> dict[str, Any]:
    """One group per request: what a larger shard costs is the same, once for all of its groups."""
    ways: dict[str, Callable[[Iterable[GenerateRequest]], Iterable[ShardRef]]] = {
        "bare_ray": lambda items: _bare(engines, items),
        "fleet": lambda items: fleet.map(_generate, items),
    }
    gaps: dict[str, list[float]] = {name: [] for name in ways}
    walls: dict[str, list[float]] = {name: [] for name in ways}
    for timed in (False, *[True] * PASSES):
        for name, way in ways.items():
            asked = list(_requests((ITEMS if timed else WARM_UP), 1))
            begun = last = time.perf_counter()
            for _ in way(asked):
                now = time.perf_counter()
                if timed:
                    gaps[name].append(now - last)
                last = now
            if timed:
                walls[name].append((last - begun) / ITEMS)
    return {name: asdict(_summed(gaps[name], walls[name])) for name in ways} | {
        "actors": ACTORS,
        "in_flight": IN_FLIGHT,
        "passes": PASSES,
    }


def _summed(gaps: list[float], walls: list[float]) -> Dispatch:
    return Dispatch(
        items=len(gaps),
        median_ms=1e3 * statistics.median(gaps),
        p90_ms=1e3 * statistics.quantiles(gaps, n=10)[-1],
        wall_ms=1e3 * statistics.median(walls),
    )


def _bare(engines: list[Any], items: Iterable[GenerateRequest]) -> Iterator[ShardRef]:
    """The least that keeps the same number of calls in flight: no supervision, no exactly-once, no time-outs."""
    waiting = iter(items)
    free = engines * IN_FLIGHT
    pending: dict[Any, Any] = {}
    while True:
        while free and (item := next(waiting, None)) is not None:
            engine = free.pop()
            pending[engine.generate.remote(item)] = engine
        if not pending:
            return
        (done,), _ = ray.wait(list(pending))
        free.append(pending.pop(done))
        yield ray.get(done)


def _receive(fleet: Fleet[GenerateRequest, ShardRef], ledger: Ledger, round: int, responses: int) -> Received:
    """One round of responses. The driver keeps every handle, as it does for a round's record."""
    written = responses <= WRITTEN
    shards = -(-responses // SHARD_ROWS)
    process = psutil.Process()
    gc.collect()
    before = largest = process.memory_info().rss
    begun = time.perf_counter()
    kept: list[ShardRef] = []
    received = 0
    for ref in fleet.map(_write if written else _generate, _requests(shards, SHARD_ROWS // 4, round)):
        if written:
            ledger.commit([ref])
        kept.append(ref)
        received += len(pickle.dumps(ref))
        largest = max(largest, process.memory_info().rss)
    return Received(
        responses=sum(ref.rows for ref in kept),
        shards=shards,
        rows_written=written,
        received_bytes=received,
        growth_mib=(largest - before) / 2**20,
        seconds=time.perf_counter() - begun,
        file_bytes=sum(os.stat(ref.path).st_size for ref in kept) if written else None,
    )


def _generate(engine: Any, request: GenerateRequest) -> Any:
    return engine.generate.remote(request)


def _write(engine: Any, request: GenerateRequest) -> Any:
    return engine.write.remote(request)


def _requests(number: int, prompts: int, round: int = 0) -> Iterator[GenerateRequest]:
    """Requests for four answers to each of some prompts."""
    ids = tuple(digest_of("prompt", at) for at in range(prompts))
    for shard in range(number):
        yield GenerateRequest(
            identity="bench",
            store="",
            table="responses",
            round=round,
            shard=shard,
            purpose="train",
            policy="r0-s0",
            prompts_path="prompts.parquet",
            prompt_ids=ids,
            k=4,
            sampling=SAMPLING,
        )


def _stats(rows: int) -> dict[str, float]:
    """What `RolloutActor` sums over a shard."""
    sums = {"prompts": rows / 4, "responses": rows, "tokens": rows * TOKENS, "truncated": rows, "logprob": -rows / 3}
    return {name: float(value) for name, value in sums.items()}


def _row(request: GenerateRequest, prompt: str, k: int, noise: np.random.Generator) -> Response:
    return Response(
        response_id=digest_of(request.shard, prompt, k),
        round=request.round,
        purpose=request.purpose,
        policy=request.policy,
        prompt_id=prompt,
        k=k,
        prompt_tokens_T=noise.integers(0, 32_000, 64).tolist(),
        tokens_T=noise.integers(0, 32_000, TOKENS).tolist(),
        logprobs_T=(-noise.exponential(1.0, TOKENS)).tolist(),
        loss_mask_T=[True] * TOKENS,
        text="",
        finish_reason="length",
        seed=int(noise.integers(2**62)),
        sampling=request.sampling.label(),
        tokenizer="bench",
    )


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("ray", "pyarrow", "deltalake")},
    }


def _told(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    machine, dispatch = figures["machine"], figures["dispatch"]
    lines = [
        f"{machine['cores']} cores, load {machine['load_before']:.1f}, Ray {machine['ray']}, "
        f"Python {machine['python']}, pyarrow {machine['pyarrow']}, deltalake {machine['deltalake']}",
        "",
        f"Dispatch: {ACTORS} stand-in engines, {IN_FLIGHT} in flight each, one group per request (ms)",
        f"{'':10}{'items':>8}{'median':>9}{'p90':>9}{'wall/item':>11}",
    ]
    for name, title in (("fleet", "fleet"), ("bare_ray", "bare Ray")):
        way = dispatch[name]
        lines.append(f"{title:10}{way['items']:8,}{way['median_ms']:9.3f}{way['p90_ms']:9.3f}{way['wall_ms']:11.3f}")
    lines += [
        "",
        f"Driver: shards of {SHARD_ROWS} rows of {TOKENS:,} tokens; beyond {WRITTEN:,} rows only handles are made",
        f"{'responses':>10}{'shards':>8}{'received':>12}{'growth':>10}{'seconds':>9}  rows",
    ]
    for row in figures["driver"]:
        rows = f"written and committed, {row['file_bytes'] / 1e6:.0f} MB" if row["rows_written"] else "not written"
        lines.append(
            f"{row['responses']:10,}{row['shards']:8,}{row['received_bytes'] / 1e3:9.1f} kB"
            f"{row['growth_mib']:6.1f} MiB{row['seconds']:9.1f}  {rows}"
        )
    return "\n".join(lines)
