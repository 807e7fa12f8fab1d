"""Judges that answer as told, and questions for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from loop.judges.judge import Asked, Reply
from loop.records import Question

Told = float | None | Literal["abstains"]
"""A value; None: the judgement fails; or there is no number although it did not fail."""


def single(text: str, prompt: str = "p", sample: int = 0, group_K: tuple[str, ...] = ()) -> Asked:
    """A pointwise question."""
    return Asked(Question(prompt, [f"{prompt}-{text}"], sample), [], (text,), None, group_K)


def pair(first: str, second: str, prompt: str = "p", sample: int = 0, group_K: tuple[str, ...] = ()) -> Asked:
    """A pairwise question."""
    ids = [f"{prompt}-{first}", f"{prompt}-{second}"]
    return Asked(Question(prompt, ids, sample), [], (first, second), None, group_K)


class Scripted:
    """Answers with what is written for the texts shown, separated by a bar, and remembers what it was asked."""

    def __init__(self, values: Mapping[str, Told], label: str = "scripted", cut: int = 0) -> None:
        self.values = values
        self.label = label
        self.cut = cut
        self.seen: list[Asked] = []
        self.batches = 0

    def version(self, policy: str) -> str:
        return f"{self.label}@{policy}"

    def usage(self) -> dict[str, float]:
        return {"questions": float(len(self.seen))}

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        self.seen += asked
        self.batches += 1
        return [self._one(self.values["|".join(one.texts)]) for one in asked]

    def _one(self, value: Told) -> Reply:
        if value is None:
            return Reply("it broke", "failed", None, self.cut)
        if isinstance(value, str):
            return Reply("no idea", "undecided", None, self.cut)
        return Reply("it said so", "decided", value, self.cut)


def said(reply: Reply) -> tuple[str, float | None]:
    """Status and value."""
    return reply.status, reply.value
