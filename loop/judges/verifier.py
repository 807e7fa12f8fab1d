"""The verifier: right or wrong, by comparison with the prompt's reference answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.judges.judge import Asked, Reply


@dataclass(frozen=True, slots=True)
class Verifier:
    """Scores 1 when the response is the reference answer, else 0. Outer white space never counts; `normalise` also
    folds case and runs of white space."""

    normalise: bool = False

    def version(self, policy: str) -> str:
        """The same for every policy."""
        return "verifier-normalised" if self.normalise else "verifier-exact"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """A prompt without a reference answer cannot be verified: failed, not wrong."""
        return [self._one(a) for a in asked]

    def _one(self, asked: Asked) -> Reply:
        if asked.answer is None:
            return Reply("no reference answer", "failed", None)
        right = self._canonical(asked.texts[0]) == self._canonical(asked.answer)
        return Reply("right" if right else "wrong", "decided", 1.0 if right else 0.0)

    def _canonical(self, text: str) -> str:
        return " ".join(text.casefold().split()) if self.normalise else text.strip()
