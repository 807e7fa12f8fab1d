"""The README of an exported checkpoint: what it is, where it comes from, under which licence."""

from __future__ import annotations

import re
from pathlib import Path

from loop.records import PolicyVersion
from loop.task import Task

_LICENSE = re.compile(r"^license:\s*(\S+)", re.MULTILINE)


def model_card(task: Task, version: PolicyVersion) -> str:
    """Markdown with the front matter that model hubs read."""
    config = task.config
    licence = base_license(config.model.path)
    front = [
        "---",
        f"base_model: {config.model.label}",
        *([f"license: {licence}"] if licence else []),
        "tags: [ratchet]",
        "---",
    ]
    rows = {
        "policy version": str(version),
        "run": f"{task.folder.name} (identity {task.identity})",
        "algorithm": config.algorithm.name,
        "judge": config.judge.name,
        "seed": str(config.seed),
    }
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    origin = f"The licence of the base model ({licence or 'see there'}) applies."
    return "\n".join([*front, "", f"# {config.model.label}, round {version.round}", "", *table, "", origin, ""])


def base_license(path: str) -> str | None:
    """The licence that the base model's own card names, where the model is a folder with a card."""
    card = Path(path) / "README.md"
    found = _LICENSE.search(card.read_text(encoding="utf-8")) if card.is_file() else None
    return found[1] if found else None
