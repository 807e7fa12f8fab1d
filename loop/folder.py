"""A run's folder: whose it is, whether its run is finished, and what is written into it first."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loop.config import RunConfig
from loop.difference import refusal
from loop.errors import Refused
from loop.store import open_store, told_plainly
from loop.summary import RunSummary, read_summary_if_any
from loop.task import Task

MARK = "run.json"
"""The file that says which identity a folder holds."""

CONFIG = "config.yaml"
"""The composed configuration of the run."""

LOCK = "run.lock"
"""The file that a running process holds locked."""


def choose(folder: Path, config: RunConfig) -> Path:
    """The folder for this run; nothing is read or written.

    `folder` when it is free, otherwise the newest of `folder`, `folder.2`, `folder.3`, ...; with `fresh=true` the first
    free one of these.
    """
    existing = [folder] if _taken(folder) else []
    while existing and _taken(beside := folder.with_name(f"{folder.name}.{len(existing) + 1}")):
        existing.append(beside)
    if not existing:
        return folder
    return folder.with_name(f"{folder.name}.{len(existing) + 1}") if config.fresh else existing[-1]


def _taken(folder: Path) -> bool:
    """Whether there is anything but what a run that never began leaves."""
    return folder.exists() and (not folder.is_dir() or any(not _is_passing(one.name) for one in folder.iterdir()))


def _is_passing(name: str) -> bool:
    return name == LOCK or name.endswith(".tmp")


def require_identity(task: Task) -> None:
    """Raises: Refused when the task's folder holds something else than its run, with what differs."""
    if not _taken(task.folder):
        return
    if not (task.folder / MARK).is_file():
        raise Refused(f"folder={task.folder} exists and is not the folder of a run")
    mark = read_mark(task.folder)
    moved = task.config.ledger.store is None and (task.folder / "ledger").is_dir()
    if mark["store"] != task.store and not moved:
        raise Refused(
            f"folder={task.folder}: the tables of this run lie in {mark['store']}, not in {task.store}: leave "
            "ledger.store and the folder's name as they were"
        )
    if mark["identity"] != task.identity:
        raise refusal(task.folder, task.identity, task.config, task.pool.digest, task.model_digest)


def read_mark(folder: Path) -> dict[str, Any]:
    """What `begin` wrote. Raises: Refused where there is none."""
    if not (folder / MARK).is_file():
        raise Refused(f"{folder} is not the folder of a run: it has no {MARK}")
    mark: dict[str, Any] = json.loads((folder / MARK).read_text())
    return mark


def summary_if_finished(folder: Path) -> RunSummary | None:
    """The summary of a finished run; None where there is none yet."""
    if not (folder / MARK).is_file():
        return None
    summary = read_summary_if_any(folder)
    return summary if summary is not None and summary.finished else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder, made if need be. Raises: Refused while another process holds it, StoreFailed."""
    with told_plainly(str(folder / LOCK)):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / LOCK, "w")  # noqa: SIM115 (held below)
    with lock as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"{folder} is being run by another process") from error
        yield


def begin(task: Task, composed: str) -> None:
    """Write a run's mark into its folder, then its composed configuration (YAML). Raises: StoreFailed."""
    mark = {
        "identity": task.identity,
        "prompts": task.pool.digest,
        "model": task.model_digest,
        "parent": task.parent,
        "store": task.store,
    }
    store = open_store(task.folder)
    store.write(MARK, f"{json.dumps(mark, indent=2)}\n".encode())
    store.write(CONFIG, composed.encode())
