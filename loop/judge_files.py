"""The judges of a configuration, and the files that they name: their content, not their path, gives data a meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop.config import RunConfig
from loop.fingerprint import model_fingerprint
from loop.judge_config import Backend, HostedConfig, JudgeConfig

FILES = ("template", "meta_template")
MODELS = ("model", "weak")
ROLES = ("current", "initial")
"""What may stand for a model of the run itself, whatever folders there are."""


def judges_of(config: RunConfig) -> Iterator[tuple[str, JudgeConfig]]:
    """Every judge with its dotted key, members of combined ones included."""
    yield from parts_of("judge", config.judge)
    for name, judge in config.later_judges.items():
        yield from parts_of(f"later_judges.{name}", judge)
    if config.evaluate.judge is not None:
        yield from parts_of("evaluate.judge", config.evaluate.judge)


def members_of(judge: JudgeConfig) -> dict[str, JudgeConfig]:
    """The judges that one is made of, by name."""
    return getattr(judge, "members", {})


def parts_of(key: str, judge: JudgeConfig) -> Iterator[tuple[str, JudgeConfig]]:
    """A judge and all that it is made of, with their dotted keys."""
    yield key, judge
    for name, member in members_of(judge).items():
        yield from parts_of(f"{key}.members.{name}", member)


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A key that may hold the path of a file, or of a model's folder."""

    key: str
    holder: Any
    name: str

    @property
    def value(self) -> str | None:
        """What the key holds."""
        return self.holder.get(self.name) if isinstance(self.holder, dict) else getattr(self.holder, self.name)

    def put(self, value: str) -> None:
        """Let the key hold something else."""
        if isinstance(self.holder, dict):
            self.holder[self.name] = value
        else:
            setattr(self.holder, self.name, value)

    def content(self) -> str | None:
        """The digest of the file's text or of the model's folder; the value itself where it is no path here."""
        path = Path(self.value) if self.value else None
        if path is None or not path.exists():
            return self.value
        return model_fingerprint(str(path)) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def named_files(config: RunConfig) -> list[NamedFile]:
    """Every such key of the configuration's judges."""
    return [file for key, judge in judges_of(config) for file in files_of(key, judge)]


def files_of(key: str, judge: JudgeConfig) -> list[NamedFile]:
    """Every such key of one judge, without those of its members."""
    found = [NamedFile(f"{key}.{name}", judge, name) for name in FILES if hasattr(judge, name)]
    if isinstance(judge, HostedConfig) and judge.backend is not Backend.server:
        models = [NamedFile(f"{key}.{name}", judge, name) for name in MODELS if hasattr(judge, name)]
        found += [file for file in models if file.value not in ROLES]
    found.append(NamedFile(f"{key}.check.file", judge.check, "file"))
    options = getattr(judge, "options", {})
    return found + [NamedFile(f"{key}.options.{name}", options, name) for name in ("schema",) if name in options]


def by_content(config: RunConfig) -> RunConfig:
    """A copy in which every such key holds the content's digest."""
    copy = deepcopy(config)
    hold_contents(named_files(copy))
    return copy


def hold_contents(files: Iterable[NamedFile]) -> None:
    """Let keys hold the digest of what they name."""
    for file in files:
        if (content := file.content()) is not None:
            file.put(content)
