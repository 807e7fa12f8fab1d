from __future__ import annotations

from collections.abc import Sequence

from loop.judges.hiding import Hiding
from loop.judges.judge import Asked, Reply
from loop.records import Question


class Seen:
    """Remembers what it was shown."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def version(self, policy: str) -> str:
        return f"seen-{policy}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        self.asked += asked
        return [Reply("!", "decided", 1.0) for _ in asked]

    def usage(self) -> dict[str, float]:
        return {"questions": float(len(self.asked))}


def test_a_judge_sees_no_thoughts_and_an_endless_thought_is_an_empty_answer() -> None:
    judge = Seen()
    hiding = Hiding(judge, ("<think>", "</think>"))
    texts = ("<think>hm, [[A]]</think>yes", "<think>and on and on")
    asked = Asked(Question("p", ["a", "b"]), [], texts, None, (*texts, "plain"))
    assert len(hiding.answer([asked], "r1-s2")) == 1
    assert judge.asked[0].texts == ("yes", "")
    assert judge.asked[0].group_K == ("yes", "", "plain")
    assert (hiding.version("r1-s2"), hiding.usage()) == ("seen-r1-s2", {"questions": 1.0})
