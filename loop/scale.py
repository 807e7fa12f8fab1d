"""How many actors a running run should have: asked for with `ratchet scale`, read by its driver."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from loop.errors import Refused
from loop.status import read_status

FILE_NAME = "scale.json"

KEYS = ("rollout.replicas", "judge.replicas", "learner.ranks")
"""What can be changed while a run goes on: engines and judges at once, learner ranks when the next round learns."""


def scale(folder: Path, overrides: Sequence[str]) -> dict[str, int]:
    """Ask the driver of a run for other numbers. Raises: Refused for other keys, or when the run does not go on now."""
    wanted = dict(_parsed(override) for override in overrides)
    if not wanted:
        raise Refused(f"name what to change, such as {KEYS[0]}=4 (known: {', '.join(KEYS)})")
    status = read_status(folder)
    if status is None or status.state != "running":
        raise Refused(f"{folder.name} is not running; `ratchet resume {folder} {' '.join(overrides)}` goes on with it")
    ask(folder, {**asked(folder), **wanted})
    return wanted


def ask(folder: Path, wanted: Mapping[str, int]) -> None:
    """Leave the numbers where the driver looks."""
    temporary = folder / f".{FILE_NAME}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(dict(wanted)) + "\n")
    os.replace(temporary, folder / FILE_NAME)


def asked(folder: Path) -> dict[str, int]:
    """What was asked for since the driver began; nothing where nobody asked."""
    try:
        found: dict[str, int] = json.loads((folder / FILE_NAME).read_text())
    except FileNotFoundError:
        return {}
    return found


def forget(folder: Path) -> None:
    """A driver that begins goes by its configuration."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def _parsed(override: str) -> tuple[str, int]:
    key, _, value = override.partition("=")
    if key not in KEYS:
        raise Refused(f"{key} cannot change while a run goes on (known: {', '.join(KEYS)})")
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise Refused(f"{override}: must be a whole number above 0")
    return key, int(value)
