"""The judges of a configuration, and the files that they name: their content, not their path, gives data a meaning."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop.config import RunConfig
from loop.fingerprint import model_fingerprint
from loop.judge_config import JudgeConfig
from loop.records import digest_of

FILES = ("template",)
MODELS = ("model", "weak")


def judges_of(config: RunConfig) -> Iterator[tuple[str, JudgeConfig]]:
    """Every judge with its dotted key, members of combined ones included."""
    yield from _with_members("judge", config.judge)
    for name, judge in config.later_judges.items():
        yield from _with_members(f"later_judges.{name}", judge)
    if config.evaluate.judge is not None:
        yield from _with_members("evaluate.judge", config.evaluate.judge)


def members_of(judge: JudgeConfig) -> dict[str, JudgeConfig]:
    """The judges that one is made of, by name."""
    return getattr(judge, "members", {})


def _with_members(key: str, judge: JudgeConfig) -> Iterator[tuple[str, JudgeConfig]]:
    yield key, judge
    for name, member in members_of(judge).items():
        yield from _with_members(f"{key}.members.{name}", member)


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
        return model_fingerprint(str(path)) if path.is_dir() else digest_of(path.read_text())


def named_files(config: RunConfig) -> list[NamedFile]:
    """Every such key of the configuration's judges."""
    found = []
    for key, judge in judges_of(config):
        found += [NamedFile(f"{key}.{name}", judge, name) for name in (*FILES, *MODELS) if hasattr(judge, name)]
        found.append(NamedFile(f"{key}.check.file", judge.check, "file"))
        options = getattr(judge, "options", {})
        found += [NamedFile(f"{key}.options.{name}", options, name) for name in ("schema",) if name in options]
    return found


def by_content(config: RunConfig) -> RunConfig:
    """A copy in which every such key holds the content's digest."""
    copy = deepcopy(config)
    for file in named_files(copy):
        if (content := file.content()) is not None:
            file.put(content)
    return copy
