"""Judges do not see what a model thought before it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loop.judges.judge import Asked, Judge, Reply
from loop.judges.thinking import visible


@dataclass(frozen=True, slots=True)
class Hiding:
    """A judge that is shown responses without what stands between thinking markers, if there are any. A response that
    never stopped thinking has no answer: its text is empty. `settings` ends the judge's version."""

    judge: Judge
    markers: tuple[str, ...]
    settings: str = ""

    def version(self, policy: str) -> str:
        """That of the judge, and the digest of its settings."""
        return "-".join(part for part in (self.judge.version(policy), self.settings) if part)

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """As `Judge.answer`."""
        return self.judge.answer([self._shown(one) for one in asked], policy)

    def usage(self) -> dict[str, float]:
        """That of the judge."""
        return self.judge.usage()

    def _shown(self, asked: Asked) -> Asked:
        texts = tuple(visible(text, self.markers) or "" for text in asked.texts)
        return replace(asked, texts=texts, group_K=tuple(visible(text, self.markers) or "" for text in asked.group_K))
