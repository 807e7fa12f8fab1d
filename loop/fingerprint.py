"""The digest of a model folder's content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from loop.records import digest_of

CHUNK = 1 << 16
"""Bytes read at each of `CHUNKS` evenly spaced places of a large file."""
CHUNKS = 64


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
