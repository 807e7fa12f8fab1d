"""Which run a person means, and where its rows lie."""

from __future__ import annotations

from pathlib import Path

from loop.errors import Refused
from loop.folder import MARK, read_mark

LISTED = 5
"""Names spelled out in a sentence."""


def find_run(run: str, runs: str = "runs", exact: bool = False) -> Path:
    """The folder of a run, given as a path, as its name under `runs`, or, unless `exact`, as the beginning of one.

    Raises: Refused when there is none, or when several begin like that.
    """
    given = Path(run).expanduser()
    if (given / MARK).is_file():
        return given.absolute()
    if given.is_dir() and given.name != run:
        raise Refused(f"{run} is not the folder of a run: it has no {MARK}")
    known = _runs_under(Path(runs))
    found = [one for one in known if one.name == run] or [
        one for one in known if not exact and one.name.startswith(run)
    ]
    if len(found) == 1:
        return found[0].absolute()
    if found:
        raise Refused(f"{len(found)} runs under {runs} begin with {run}: {_listed(found)}; write more of the name")
    there = f"there are {_listed(known)}" if known else "there is none"
    raise Refused(f"no run {run}: it is neither the folder of one nor how a name under {runs} begins ({there})")


def store_of(folder: Path) -> str:
    """Where a run's tables lie: below its folder, wherever that has been moved, else where its mark says."""
    below = folder / "ledger"
    store = None if below.is_dir() else read_mark(folder).get("store")
    return str(store or below)


def _runs_under(runs: Path) -> list[Path]:
    """Folders of runs, the newest first."""
    found = [mark.parent for mark in runs.glob(f"*/{MARK}")]
    return sorted(found, key=lambda folder: (folder / MARK).stat().st_mtime, reverse=True)


def _listed(folders: list[Path]) -> str:
    more = f" and {len(folders) - LISTED} more" if len(folders) > LISTED else ""
    return ", ".join(folder.name for folder in folders[:LISTED]) + more
