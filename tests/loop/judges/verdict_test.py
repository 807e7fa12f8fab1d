"""What a whole or a cut text, or the probabilities of first tokens, come to."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loop.judge_config import AskedConfig, JudgeKind, ReadBy
from loop.judges.judge import Reply
from loop.judges.speaking import Written
from loop.judges.template import JudgeTemplate
from loop.judges.verdict import verdict_of_logprobs, verdict_of_text

TIE = JudgeTemplate("tie", 1, "", "preference", "{instruction}|{answer_a}|{answer_b}", ("A", "B", "C"))
SCORE = JudgeTemplate("s", 1, "", "score", "{instruction}|{answer}", scores=(1, 2, 3), marker="Score:")


def config(read: ReadBy, **changes: Any) -> AskedConfig:
    return AskedConfig(name="llm", kind=JudgeKind.llm, model="m", template="t", read=read, **changes)


@pytest.mark.parametrize(
    ("template", "read", "said"),
    [
        (SCORE, ReadBy.text, "Score: 1"),
        (SCORE, ReadBy.text, "1"),
        (SCORE, ReadBy.constrained, "1"),
        (TIE, ReadBy.text, "At first sight [[A]], but"),
        (TIE, ReadBy.constrained, "A"),
    ],
)
def test_a_text_that_was_cut_holds_no_verdict(template: JudgeTemplate, read: ReadBy, said: str) -> None:
    assert verdict_of_text(config(read), template, Written(said, True)) == Reply(said, "decided", 1.0)
    assert verdict_of_text(config(read), template, Written(said, False)) == Reply(said, "failed", None)


def test_two_verdicts_that_differ_are_none() -> None:
    said = "[[A]] at first. [[B]] in the end."
    assert verdict_of_text(config(ReadBy.text), TIE, Written(said, True)) == Reply(said, "failed", None)


def test_thinking_markers_are_the_configurations() -> None:
    written = Written("(hm)Score: 1(/hm) Score: 3", True)
    reply = verdict_of_text(config(ReadBy.text, thinking_markers=["(hm)", "(/hm)"]), SCORE, written)
    assert reply == Reply(written.text, "decided", 3.0)
    assert verdict_of_text(config(ReadBy.text), SCORE, written).status == "failed"


def test_a_constrained_verdict_is_what_its_choice_finds() -> None:
    written = Written("<2>", True)
    found = verdict_of_text(config(ReadBy.constrained), SCORE, written, lambda text: text.strip("<>"))
    assert found == Reply("<2>", "decided", 2.0)
    assert verdict_of_text(config(ReadBy.constrained), SCORE, written) == Reply("<2>", "failed", None)


def test_probabilities_are_a_score_or_a_preference() -> None:
    logprobs = {"1": math.log(0.5), "3": math.log(0.25), "A": math.log(0.2)}
    assert verdict_of_logprobs(config(ReadBy.probabilities), SCORE, logprobs).value == pytest.approx(5 / 3)
    assert verdict_of_logprobs(config(ReadBy.probabilities), TIE, logprobs).status == "failed"
    assert verdict_of_logprobs(config(ReadBy.probabilities, min_mass=0.1), TIE, logprobs).value == 1.0
