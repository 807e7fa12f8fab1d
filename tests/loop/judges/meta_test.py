from __future__ import annotations

from loop.judges.judge import Asked, Reply
from loop.judges.meta import MetaJudge
from loop.judges.template import JudgeTemplate
from loop.records import Question

RUBRIC = JudgeTemplate(
    name="rubric",
    version=1,
    source="test",
    asks="score",
    text="Points for {answer} to {instruction}?",
    scores=(0, 1),
    system="You judge.",
)
JUDGED = Asked(Question("p", ["a"]), [{"role": "user", "content": "6 x 7?"}], ("<think>hm</think>It is 42.",), "42")


class Silent:
    """A judge that is not asked."""

    def version(self, policy: str) -> str:
        return policy

    def answer(self, asked: list[Asked], policy: str) -> list[Reply]:
        raise AssertionError("it is asked")

    def usage(self) -> dict[str, float]:
        return {}


def about(*markers: str) -> Asked:
    question = Question("p", ["x", "y"])
    return MetaJudge(Silent(), RUBRIC, markers, "{}").about(question, JUDGED, ("Score: 1", "Score: 0"))  # type: ignore[arg-type]


def test_the_request_is_what_the_judge_was_asked_and_its_judgements_are_the_answers() -> None:
    asked = about("<think>", "</think>")
    assert asked.conversation == [
        {"role": "system", "content": "You judge."},
        {"role": "user", "content": "Points for It is 42. to 6 x 7??"},
    ]
    assert (asked.texts, asked.question.response_ids, asked.answer) == (("Score: 1", "Score: 0"), ["x", "y"], "42")


def test_thoughts_are_shown_where_the_judge_saw_them() -> None:
    assert about().conversation[1]["content"] == "Points for <think>hm</think>It is 42. to 6 x 7??"
