"""Ray itself: starting or joining a cluster, and how its cores are shared."""

from __future__ import annotations

import os
from typing import Any

import ray

from actors.signals import terminate_as_interrupt
from loop.config import ClusterConfig
from loop.errors import InfrastructureFailed, Refused

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    # the fleets tell of actors that could not be made; Ray would print their tracebacks
    "RAY_enable_output_error_log_if_still_retry": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    # tensors of a weight stream are written to the object store once, and read from it without a copy
    "RAY_ENABLE_ZERO_COPY_TORCH_TENSORS": "1",
}
"""The environment of every process: telemetry of third parties is off, and their progress bars and advice are."""


def connect(cluster: ClusterConfig, threads: int) -> None:
    """Join the cluster at `cluster.address`, or start one on this machine that ends with this process. Processes of a
    cluster started here inherit this one's environment, in which native code is pinned to `threads`."""
    os.environ.update(QUIET)
    local: dict[str, Any] = {}
    if cluster.address is None:
        os.environ.update(pinned(threads))
        local = {
            "num_cpus": cores(cluster),
            "include_dashboard": False,
            "object_store_memory": int(cluster.object_store_gb * 1e9),
        }
    try:
        ray.init(address=cluster.address or "local", logging_level="ERROR", log_to_driver=False, **local)
    except ConnectionError as error:
        raise InfrastructureFailed(f"cluster.address={cluster.address}: no Ray cluster answers there") from error
    # Ray's own handler ends the process in a C++ stack trace
    terminate_as_interrupt()


def require_gpus(cluster: ClusterConfig, rollouts: int, learners: int, judges: int) -> None:
    """Raises: Refused when this machine's GPUs would be shared by accident; InfrastructureFailed when the cluster has
    fewer than the run needs: such actors would wait for ever."""
    needed = cluster.gpus_per_rollout * rollouts + cluster.gpus_per_learner * learners + cluster.gpus_per_judge * judges
    there = ray.cluster_resources().get("GPU", 0.0)
    if needed > there:
        raise InfrastructureFailed(
            f"{rollouts} engines, {learners} learner ranks and {judges} judges with a model need {needed:g} GPUs, and "
            f"the cluster has {there:g}: lower rollout.replicas, learner.ranks, judge.replicas or cluster.gpus_per_*"
        )
    if there and not (cluster.gpus_per_rollout and cluster.gpus_per_learner):
        raise Refused("this machine has GPUs, which every process would take for itself: use cluster=gpu")


def cores(cluster: ClusterConfig) -> int:
    """Cores that a run may use on this machine."""
    return cluster.cpus or len(os.sched_getaffinity(0))


def threads(cluster: ClusterConfig, actors: int) -> int:
    """Threads of one actor: its share of the cores among the actors active in the same phase, at least one."""
    return cluster.threads or max(1, cores(cluster) // actors)


def pinned(threads: int) -> dict[str, str]:
    """The environment that pins native code to a number of threads."""
    return {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def options(cluster: ClusterConfig, threads: int, gpus: float = 0.0) -> dict[str, Any]:
    """Ray options of an actor. Phases take turns on the same cores, so actors reserve none.

    On a cluster that is joined, the environment travels with each actor; that costs a new process a second, so a
    cluster started here goes without.
    """
    environment = {"runtime_env": {"env_vars": {**QUIET, **pinned(threads)}}} if cluster.address is not None else {}
    return {"num_cpus": 0, "num_gpus": gpus, **environment}
