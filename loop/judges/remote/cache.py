"""Completions on disk: one file each, by the digest of what they depend on."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from loop.errors import Refused
from loop.judges.remote.exchange import Completion
from loop.records import digest_of


class Cache:
    """Safe for any number of processes and threads: files appear whole and never change. A file that is not what was
    written counts as absent. Raises: Refused when the folder cannot be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(
                f"judge.server.cache: {folder} cannot be made ({error.strerror}); name another folder"
            ) from None

    def get(self, key: str) -> Completion | None:
        """The completion stored under the key."""
        try:
            digest, _, text = self._file(key).read_text(encoding="utf-8").partition("\n")
            return Completion(**json.loads(text)) if digest == digest_of(key, text) else None
        except (OSError, ValueError, TypeError):
            return None

    def put(self, key: str, completion: Completion) -> bool:
        """Store a completion; False when there is no room or right to, which costs a later request and nothing else."""
        told = asdict(completion)
        del told["seconds"]
        text, file = json.dumps(told), self._file(key)
        try:
            file.parent.mkdir(exist_ok=True)
            handle, unfinished = tempfile.mkstemp(dir=file.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as out:
                    out.write(f"{digest_of(key, text)}\n{text}")
                os.replace(unfinished, file)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)
                return False
        except OSError:
            return False
        return True

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
