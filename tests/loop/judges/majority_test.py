from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.errors import Refused
from loop.judge_config import JudgeKind, MajorityConfig
from loop.judges.comparing import Comparing
from loop.judges.final_answer import EXTRACT
from loop.judges.majority import Majority
from tests.loop.judges.scripted import pair, said, single


def majority(extract: str) -> Majority:
    return Majority(MajorityConfig("majority", JudgeKind.majority, extract=extract))


def votes(extract: str, *texts: str) -> list[float | None]:
    replies = majority(extract).answer([single(text, group_K=texts) for text in texts], "r0-s0")
    assert all(reply.status == "decided" for reply in replies)
    return [reply.value for reply in replies]


@pytest.mark.parametrize(
    ("extract", "text", "answer"),
    [
        ("last_line", "first\nso it is  42 \n\n  \n", "so it is 42"),
        ("last_line", " \n\n", None),
        ("whole", " a\n  b ", "a b"),
        ("whole", "  ", None),
        ("boxed", r"\boxed{1} and then \boxed{ \frac{1}{2}  }", r"\frac{1}{2}"),
        ("boxed", r"\boxed{\left\{1, 2\right\}}.", r"\left\{1, 2\right\}"),
        ("boxed", r"\boxed{1} or \boxed{2", "1"),
        ("boxed", r"\boxed{ }", None),
        ("boxed", "42", None),
        ("number", "2 and 3 make 5.", "5"),
        ("number", "$1,200.50 in all", "1200.5"),
        ("number", "it is -7", "-7"),
        ("number", "it is \u22127", "-7"),
        ("number", "x=-0.0", "0"),
        ("number", "10-4", "4"),
        ("number", "it is -.5", "-0.5"),
        ("number", "v1.2.3", "3"),
        ("number", "12,34", "34"),
        ("number", "1e3", "1E+3"),
        ("number", "1000", "1E+3"),
        ("number", "5e9999", "5E+9999"),
        ("number", "0.12345678901234567890123456789012345", "0.12345678901234567890123456789012345"),
        ("number", "none", None),
    ],
)
def test_the_final_answer_is_found(extract: str, text: str, answer: str | None) -> None:
    assert EXTRACT[extract](text) == answer


@given(st.sampled_from(sorted(EXTRACT)), st.text(alphabet="\\boxed{}0123456789.,-eE \n"))
def test_any_text_has_a_final_answer_or_none(extract: str, text: str) -> None:
    answer = EXTRACT[extract](text)
    assert answer is None or answer.strip() == answer != ""


def test_a_response_scores_the_share_that_comes_to_its_answer() -> None:
    assert votes("last_line", "x\n4", "y\n4", "5", "4 ") == [0.75, 0.75, 0.25, 0.75]
    assert votes("number", "1,000", "1000.0", "so 1e3", "7") == [0.75, 0.75, 0.75, 0.25]
    assert votes("whole", "x\n4", "y\n4") == [0.5, 0.5]


def test_a_response_without_an_answer_can_never_win() -> None:
    assert votes("boxed", "none", "no", "neither", r"\boxed{1}") == [0.0, 0.0, 0.0, 0.25]
    assert votes("boxed", "none", "no") == [0.0, 0.0], "a tie"


def test_groups_are_counted_apart() -> None:
    asked = [single("1", group_K=("1", "1", "2")), single("1", "q", group_K=("1", "2", "3", "4"))]
    assert [reply.value for reply in majority("whole").answer(asked, "r0-s0")] == [pytest.approx(2 / 3), 0.25]


def test_without_the_group_counting_fails() -> None:
    (reply,) = majority("whole").answer([single("1")], "r0-s0")
    assert said(reply) == ("failed", None) and "no group" in reply.raw


def test_two_responses_are_compared_by_their_votes() -> None:
    comparing = Comparing(majority("whole"), certain=True)
    group = ("1", "1", "2", "")
    asked = [pair("1", "2", group_K=group), pair("", "2", group_K=group), pair("1", "1", group_K=group), pair("1", "2")]
    replies = comparing.answer(asked[:3], "r0-s0")
    assert [said(reply) for reply in replies] == [("decided", 1.0), ("decided", 0.0), ("undecided", 0.5)]
    assert said(*comparing.answer(asked[3:], "r0-s0")) == ("failed", None)


def test_the_raw_reply_tells_answer_and_votes() -> None:
    (reply,) = majority("number").answer([single("so 4", group_K=("so 4", "4", "5"))], "r0-s0")
    assert json.loads(reply.raw) == {"answer": "4", "votes": 2, "of": 3}


def test_what_cannot_be_extracted_is_refused() -> None:
    with pytest.raises(
        Refused, match="there is no 'boxd'; did you mean boxed; there are last_line, whole, boxed, number"
    ):
        majority("boxd")
    assert {majority(name).version("r0-s0") for name in EXTRACT} == {f"majority-{name}" for name in EXTRACT}
    assert majority("whole").usage() == {}
