"""The contract of a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loop.records import Message, Question, Status


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what the judge sees: the conversation, the responses' decoded text in the order shown, the
    reference answer, and the texts of the whole group in the order of k, for a judge that counts them."""

    question: Question
    conversation: list[Message]
    texts: tuple[str, ...]
    answer: str | None
    group_K: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A judge's reply: the raw text, whether it decided, and the number. None when failed, and where an undecided one
    has none (an ensemble that abstains); a score of minus infinity is a veto. `cut` counts the tokens
    that its input lost to the judge's limit. Of a language model here that wrote a whole text, `asked_T` is its input
    and `tokens_T` what it wrote, end token included."""

    raw: str
    status: Status
    value: float | None
    cut: int = 0
    asked_T: tuple[int, ...] = ()
    tokens_T: tuple[int, ...] = ()


class Judge(Protocol):
    """Answers questions in batches, without state between them."""

    def version(self, policy: str) -> str:
        """Names what answered; `policy` is the version that the engines serve, for judges that use it."""
        ...

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """One reply per question, in order; `policy` as in `version`. Pointwise questions show one response, pairwise
        ones two."""
        ...

    def usage(self) -> dict[str, float]:
        """What answering has cost since the start: requests, tokens, seconds, dollars, by name; empty where nothing is
        counted. It depends on time and place, and goes to telemetry only."""
        ...
