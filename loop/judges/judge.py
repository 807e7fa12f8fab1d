"""The contract of a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loop.config import JudgeKind
from loop.records import Message, Question, Status


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of judge can answer, and what it needs from the prompts."""

    pointwise: bool = False
    pairwise: bool = False
    needs_reference_answer: bool = False


CAPABILITIES = {
    JudgeKind.verifier: Capabilities(pointwise=True, needs_reference_answer=True),
    JudgeKind.self: Capabilities(pairwise=True),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what the judge sees: the conversation, the responses' decoded text in the order shown, the
    reference answer."""

    question: Question
    conversation: list[Message]
    texts: tuple[str, ...]
    answer: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A judge's reply: the raw text, whether it decided, and the number (None when failed)."""

    raw: str
    status: Status
    value: float | None


class Judge(Protocol):
    """Answers questions in batches, without state between them."""

    def version(self, policy: str) -> str:
        """Names what answered; `policy` is the version that the engines serve, for judges that use it."""
        ...

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """One reply per question, in order; `policy` as in `version`."""
        ...
