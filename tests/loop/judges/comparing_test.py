from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judges.comparing import Comparing, beats
from tests.loop.judges.scripted import Scripted, Told, pair, said, single

INF = math.inf


@pytest.mark.parametrize(
    ("first", "second", "certain", "expected"),
    [
        (2.0, 1.0, False, ("decided", 0.7310585786300049)),
        (1.0, 2.0, False, ("decided", 1 - 0.7310585786300049)),
        (2.0, 1.0, True, ("decided", 1.0)),
        (1.0, 1.5, True, ("decided", 0.0)),
        (1.0, 1.0, True, ("undecided", 0.5)),
        (1.0, 1.0, False, ("undecided", 0.5)),
        (-3.0, -INF, False, ("decided", 1.0)),
        (-INF, -3.0, False, ("decided", 0.0)),
        (-INF, -INF, False, ("undecided", 0.5)),
        (-INF, -INF, True, ("undecided", 0.5)),
        (None, 1.0, True, ("failed", None)),
        (1.0, None, True, ("failed", None)),
        (math.nan, 1.0, True, ("failed", None)),
        (1.0, INF, False, ("failed", None)),
        ("abstains", 1.0, True, ("undecided", 0.5)),
    ],
)
def test_two_scores_make_a_preference(
    first: Told, second: Told, certain: bool, expected: tuple[str, float | None]
) -> None:
    (reply,) = Comparing(Scripted({"a": first, "b": second}), certain).answer([pair("a", "b")], "r0-s0")
    assert reply.status == expected[0]
    assert reply.value == (None if expected[1] is None else pytest.approx(expected[1], abs=1e-15))


logits = st.integers(-400, 400).map(lambda n: n / 97) | st.floats(-1e3, 1e3)


@given(logits, logits, st.booleans())
def test_turned_questions_add_up_to_one_exactly(score: float, other: float, certain: bool) -> None:
    p, q = beats(score, other, certain), beats(other, score, certain)
    assert p == 1.0 - q and q == 1.0 - p
    assert (p > 0.5) == (q < 0.5) and (p <= 0.5 or score > other)


def test_each_text_of_a_prompt_is_scored_once_per_sample() -> None:
    judge = Scripted({"a": 1.0, "b": 2.0, "c": 3.0})
    asked = [
        pair("a", "b", group_K=("a", "b", "c")),
        pair("b", "a"),
        pair("b", "c"),
        pair("a", "b", sample=1),
        pair("a", "b", prompt="q"),
    ]
    replies = Comparing(judge, certain=True).answer(asked, "r0-s0")
    assert [reply.value for reply in replies] == [0.0, 1.0, 0.0, 0.0, 0.0]
    told = [(one.question.prompt_id, one.texts, one.question.sample) for one in judge.seen]
    assert told == [
        ("p", ("a",), 0),
        ("p", ("b",), 0),
        ("p", ("c",), 0),
        ("p", ("a",), 1),
        ("p", ("b",), 1),
        ("q", ("a",), 0),
        ("q", ("b",), 0),
    ]
    assert judge.batches == 1
    assert judge.seen[0].question.response_ids == ["p-a"] and judge.seen[0].group_K == ("a", "b", "c")


def test_pointwise_questions_are_the_judge_s_own() -> None:
    judge = Scripted({"a": 1.0, "b": None, "c": 0.5})
    asked = [single("a"), single("a"), pair("a", "c"), single("b")]
    comparing = Comparing(judge, certain=False)
    replies = comparing.answer(asked, "r1-s2")
    assert [said(replies[i]) for i in (0, 1, 3)] == [("decided", 1.0), ("decided", 1.0), ("failed", None)]
    assert replies[2].value == pytest.approx(0.622459, abs=1e-6)
    as_they_are = [n for seen in judge.seen for n, one in enumerate(asked) if one is seen]
    assert as_they_are == [0, 1, 3], "repeats too"
    assert comparing.version("r1-s2") == "scripted@r1-s2"
    assert comparing.usage() == {"questions": 5.0}


def test_a_comparison_tells_both_scores_and_what_was_cut() -> None:
    (reply,) = Comparing(Scripted({"a": 1.0, "b": -INF}, cut=3), certain=True).answer([pair("a", "b")], "r0-s0")
    assert json.loads(reply.raw) == {
        "first": {"status": "decided", "value": 1.0},
        "second": {"status": "decided", "value": "vetoed"},
    }
    assert reply.cut == 6
