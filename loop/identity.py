"""A run's identity: the digest of everything that gives its data their meaning, and the folder that follows from it."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Any

from loop.config import RunConfig
from loop.judge_files import by_content
from loop.records import digest_of


def meaning(node: Any) -> Any:
    """The configuration as plain data without what depends on time, place or taste (fields marked `identity=False`)."""
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        kept = [f for f in dataclasses.fields(node) if f.metadata.get("identity", True)]
        return {f.name: meaning(getattr(node, f.name)) for f in kept if f.name != "path"}
    if isinstance(node, Enum):
        return node.value
    if isinstance(node, list | tuple):
        return [meaning(item) for item in node]
    if isinstance(node, dict):
        return {name: meaning(item) for name, item in node.items()}
    return node


def identity_of(config: RunConfig, prompts_digest: str, model_digest: str, parent: str | None = None) -> str:
    """The run's identity (hex, 32 characters). What judges name (templates, models) enters by its content, prompts and
    model likewise, a fork's parent by IDENTITY@VERSION."""
    return digest_of("run", meaning(by_content(config)), prompts_digest, model_digest, parent)


def run_folder(config: RunConfig, identity: str) -> Path:
    """`RUNS/NAME-ALGORITHM-JUDGE-IDENTITY`, or the folder that the configuration names."""
    if config.folder is not None:
        return Path(config.folder).absolute()
    name = f"{config.name}-{config.algorithm.name}-{config.judge.name}-{identity[:8]}"
    return (Path(config.runs) / name).absolute()
