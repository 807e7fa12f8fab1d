"""Ray itself: starting or joining a cluster, and how its cores are shared."""

from __future__ import annotations

import os
from typing import Any

import ray

from loop.config import ClusterConfig

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
"""Telemetry of third parties is off, everywhere."""


def connect(cluster: ClusterConfig) -> None:
    """Join the cluster at `cluster.address`, or start one on this machine that ends with this process."""
    os.environ.update(QUIET)
    local: dict[str, Any] = {}
    if cluster.address is None:
        local = {
            "num_cpus": cores(cluster),
            "include_dashboard": False,
            "object_store_memory": int(cluster.object_store_gb * 1e9),
        }
    ray.init(
        address=cluster.address,
        logging_level="ERROR",
        log_to_driver=False,
        runtime_env={"env_vars": QUIET},
        **local,
    )


def cores(cluster: ClusterConfig) -> int:
    """Cores that a run may use on this machine."""
    return cluster.cpus or len(os.sched_getaffinity(0))


def threads(cluster: ClusterConfig, actors: int) -> int:
    """Threads of one actor: its share of the cores among the actors active in the same phase, at least one."""
    return cluster.threads or max(1, cores(cluster) // actors)


def options(threads: int, gpus: float = 0.0) -> dict[str, Any]:
    """Ray options of an actor that pins its threads. Phases take turns on the same cores, so actors reserve none."""
    pinned = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {"num_cpus": 0, "num_gpus": gpus, "runtime_env": {"env_vars": {**QUIET, **pinned}}}
