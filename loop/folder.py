"""A run's folder: whose it is, whether its run is finished, and what is written into it first."""

from __future__ import annotations

import json
from pathlib import Path

from loop.config import RunConfig
from loop.errors import Refused
from loop.summary import FILE_NAME, RunSummary, read_summary

MARK = "run.json"
"""The file that says which identity a folder holds."""


def claim(folder: Path, identity: str, config: RunConfig) -> Path:
    """The folder for this run: `folder` itself when it is free or holds the same identity, with `fresh=true` the first
    free `FOLDER.2`, `FOLDER.3`, ... Nothing is written. Raises: Refused for another identity or something that is no
    run."""
    if config.fresh:
        number = 2
        free = folder
        while free.exists():
            free = folder.with_name(f"{folder.name}.{number}")
            number += 1
        return free
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    mark = folder / MARK
    if not mark.is_file():
        raise Refused(f"folder={folder} exists and is not the folder of a run")
    held = json.loads(mark.read_text())["identity"]
    if held != identity:
        raise Refused(
            f"folder={folder} holds the run of another identity ({held[:8]}, this one is {identity[:8]}): "
            "leave `folder` out, or name another"
        )
    return folder


def summary_if_finished(folder: Path) -> RunSummary | None:
    """The summary of a finished run; None where there is none. Raises: Refused when the run there did not finish."""
    if not (folder / MARK).is_file():
        return None
    if (folder / FILE_NAME).is_file():
        summary = read_summary(folder)
        if summary.finished:
            return summary
    raise Refused(f"{folder} holds a run that did not finish; fresh=true starts another beside it")


def begin(folder: Path, identity: str, composed: str) -> None:
    """Make the folder, and write its mark and the composed configuration (YAML)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(composed)
    (folder / MARK).write_text(json.dumps({"identity": identity}) + "\n")
