from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.judges.verifier_math import last_boxed
from tests.loop.judges.verifying import asked, is_a_verdict, one, verifier

JUDGE = verifier("math", seconds=1.0)


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    JUDGE.close()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("the answer is 4", "4"),
        ("so **4**.", "4"),
        ("Answer:4", "4"),
        ("#### 42", "42"),
        ("2 * 3", "6"),
        ("1,000 dollars", "1000"),
        ("1 000", "1000"),
        (r"\boxed{1 000}", "1,000"),
        ("first 5, then 6", "6"),
        ("The answer is 5. No, 6.", "6"),
        (r"\boxed{4}, because 2 + 3 = 5", "4"),
        (r"\boxed{1} or \boxed{4}", "4"),
        (r"\boxed{4} or \boxed{5", "4"),
        (r"$\boxed{\frac{1}{2}}$", "0.5"),
        (r"\frac{\sqrt{3}}{2}", r"\frac{\sqrt3}{2}"),
        ("1+x^2", "x^2+1"),
        (r"$x = 4$", "4"),
        (r"\boxed{x = 4}", "4"),
        (r"50\%", "50%"),
        (r"\boxed{\{2, 1\}}", r"\{1,2\}"),
        ("x", "x"),
        ("4", r"so it is \boxed{4}"),
        ("4", "$4$"),
    ],
)
def test_equal_mathematics_is_right(text: str, answer: str) -> None:
    assert one(JUDGE, text, answer).value == 1.0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("5", "4"),
        ("4, or rather 5", "4"),
        (r"4, so \boxed{5}", "4"),
        (r"\boxed{-4}", "4"),
        (r"\boxed{x + 2}", "x + 1"),
        ("I do not know", "4"),
        ("", "4"),
        ("?!", "4"),
        (r"\boxed{ } 4", "4"),
    ],
)
def test_another_expression_or_none_is_wrong(text: str, answer: str) -> None:
    reply = one(JUDGE, text, answer)
    assert (reply.status, reply.value) == ("decided", 0.0)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{\frac{}}", "4"),
        (r"4, so $\frac{1$", "4"),
        (r"\frac{1", "4"),
        ("3 1/2", "3.5"),
        (r"\boxed{3 1/2}", "3.5"),
        ("4", r"\frac{"),
        (r"\frac{", r"\frac{"),
        ("4", ""),
        ("4", "$$"),
    ],
)
def test_what_cannot_be_read_is_failed_and_not_wrong(text: str, answer: str) -> None:
    reply = one(JUDGE, text, answer)
    assert (reply.status, reply.value) == ("failed", None)


def test_an_expression_without_end_fails_and_all_others_are_answered() -> None:
    texts = [r"\boxed{4}", r"\boxed{9^{9^{9^9}}}", r"\boxed{5}", r"\boxed{10^{10^{100}}}", "4"]
    replies = JUDGE.answer([asked(text, "4") for text in texts], "r0-s0")
    assert [r.value for r in replies] == [1.0, None, 0.0, None, 1.0]


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{1} \boxed{2}", "2"),
        (r"\boxed{1} \boxed{2", "1"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed{\{1\}}", r"\{1\}"),
        (r"\boxed {3}", "3"),
        (r"} { \boxed{3}", "3"),
        (r"\\boxed{3}", None),
        (r"\boxed 3", None),
        (r"\fbox{3}", None),
        ("", None),
    ],
)
def test_the_last_box_that_closes_counts(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


PIECES = (
    r"1 2 9 0 x y a + - * / ^ _ ( ) [ ] { } = < , . : % $ $$ \( \) \boxed{ \frac{ \sqrt{ \text{ \left( \pi \\ & ! #"
)
LATEX = st.lists(st.sampled_from([*PIECES.split(), " ", "\n", "answer", "\ud800"]), max_size=15).map("".join)


@settings(deadline=None, max_examples=150)
@given(text=LATEX | st.text(alphabet=st.characters(categories=None)), answer=LATEX | st.just("4"))
def test_any_text_and_any_answer_is_decided_or_failed(text: str, answer: str) -> None:
    assert is_a_verdict(one(JUDGE, text, answer))


@settings(deadline=None, max_examples=50)
@given(number=st.integers(-(10**9), 10**9), before=st.sampled_from(["", "2 + 2 = 4. ", r"Not \boxed{3} but "]))
def test_a_boxed_number_equals_itself_and_not_its_successor(number: int, before: str) -> None:
    assert one(JUDGE, rf"{before}\boxed{{{number}}}. Done", str(number)).value == 1.0
    assert one(JUDGE, rf"{before}\boxed{{{number}}}. Done", str(number + 1)).value == 0.0
