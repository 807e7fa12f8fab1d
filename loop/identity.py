"""A run's identity: the digest of everything that gives its data their meaning, and the folder that follows from it."""

from __future__ import annotations

import dataclasses
import hashlib
from enum import Enum
from pathlib import Path
from typing import Any

from loop.config import RunConfig
from loop.records import digest_of

CHUNK = 1 << 16
"""Bytes read at each of `CHUNKS` evenly spaced places of a large file."""
CHUNKS = 64


def meaning(node: Any) -> Any:
    """The configuration as plain data without what depends on time, place or taste (fields marked `identity=False`)."""
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        kept = [f for f in dataclasses.fields(node) if f.metadata.get("identity", True)]
        return {f.name: meaning(getattr(node, f.name)) for f in kept if f.name != "path"}
    if isinstance(node, Enum):
        return node.value
    if isinstance(node, list | tuple):
        return [meaning(item) for item in node]
    return node


def identity_of(config: RunConfig, prompts_digest: str, model_digest: str, parent: str | None = None) -> str:
    """The run's identity (hex, 32 characters). The judge's template enters by its text, prompts and model by their
    content, a fork's parent by IDENTITY@VERSION."""
    told = meaning(config)
    template = config.judge.template
    told["judge"]["template"] = digest_of(Path(template).read_text()) if template else None
    return digest_of("run", told, prompts_digest, model_digest, parent)


def model_fingerprint(path: str) -> str:
    """Digest of a model folder's content: small files whole, large ones by their size and evenly spaced samples.

    A hub name has no folder here; it stands for itself (pin `model.revision`).
    """
    folder = Path(path)
    if not folder.is_dir():
        return digest_of("hub", path)
    files = sorted(
        f for f in folder.iterdir() if f.is_file() and f.suffix in {".json", ".safetensors", ".jinja", ".txt"}
    )
    return digest_of("model", [(f.name, _file_digest(f)) for f in files])


def _file_digest(file: Path) -> str:
    size = file.stat().st_size
    with open(file, "rb") as handle:
        if size <= CHUNK * CHUNKS:
            return hashlib.file_digest(handle, "sha256").hexdigest()
        digest = hashlib.sha256(b"%d" % size)
        for i in range(CHUNKS):
            handle.seek((size - CHUNK) * i // (CHUNKS - 1))
            digest.update(handle.read(CHUNK))
        return digest.hexdigest()


def run_folder(config: RunConfig, identity: str) -> Path:
    """`RUNS/NAME-ALGORITHM-JUDGE-IDENTITY`, or the folder that the configuration names."""
    if config.folder is not None:
        return Path(config.folder).absolute()
    name = f"{config.name}-{config.algorithm.name}-{config.judge.name}-{identity[:8]}"
    return (Path(config.runs) / name).absolute()
