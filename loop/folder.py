"""A run's folder: whose it is, whether its run is finished, and what is written into it first."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loop.config import RunConfig
from loop.errors import Refused
from loop.summary import FILE_NAME, RunSummary, read_summary

MARK = "run.json"
"""The file that says which identity a folder holds."""

LOCK = "run.lock"
"""The file that a running process holds locked."""


def claim(folder: Path, identity: str, config: RunConfig) -> Path:
    """The folder for this run; nothing is written.

    `folder` when it is free; the newest of `folder`, `folder.2`, `folder.3`, ... that holds the same identity; with
    `fresh=true` the first free one of these. Raises: Refused for another identity or something that is no run.
    """
    existing = [folder] if _taken(folder) else []
    while existing and _taken(beside := folder.with_name(f"{folder.name}.{len(existing) + 1}")):
        existing.append(beside)
    if not existing:
        return folder
    if config.fresh:
        return folder.with_name(f"{folder.name}.{len(existing) + 1}")
    for one in existing:
        _require_identity(one, identity)
    return existing[-1]


def _taken(folder: Path) -> bool:
    """Whether there is anything but the lock of a run that never began."""
    return folder.exists() and (not folder.is_dir() or any(one.name != LOCK for one in folder.iterdir()))


def _require_identity(folder: Path, identity: str) -> None:
    mark = folder / MARK
    if not mark.is_file():
        raise Refused(f"folder={folder} exists and is not the folder of a run")
    held = json.loads(mark.read_text())["identity"]
    if held != identity:
        raise Refused(
            f"folder={folder} holds the run of another identity ({held[:8]}, this one is {identity[:8]}): "
            "leave `folder` out, or name another"
        )


def summary_if_finished(folder: Path) -> RunSummary | None:
    """The summary of a finished run; None where there is none, or one that ended before it sampled anything.

    Raises: Refused when the run there got further and did not finish.
    """
    if not (folder / MARK).is_file():
        return None
    if (folder / FILE_NAME).is_file():
        summary = read_summary(folder)
        if summary.finished:
            return summary
    if not any((folder / "ledger" / table).exists() for table in ("responses", "evaluation_responses")):
        return None
    raise Refused(f"{folder} holds a run that did not finish; fresh=true starts another beside it")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder, made if need be. Raises: Refused while another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"{folder} is being run by another process") from error
        yield


def begin(folder: Path, identity: str, composed: str) -> None:
    """Write a run's mark and its composed configuration (YAML) into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(composed)
    (folder / MARK).write_text(json.dumps({"identity": identity}) + "\n")
