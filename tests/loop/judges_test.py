from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.composition import CONF
from loop.errors import Refused
from loop.judges.judge import Asked
from loop.judges.verdict_token import MIN_MASS, check_template, conversation_text, render, reply
from loop.judges.verifier import Verifier
from loop.records import Question


def asked(*texts: str, answer: str | None = "Paris", instruction: str = "Capital?") -> Asked:
    turns = [{"role": "user", "content": instruction}]
    return Asked(Question("p", [f"id{i}" for i in range(len(texts))]), turns, texts, answer)


@pytest.mark.parametrize(
    ("text", "normalise", "value"),
    [
        ("Paris", False, 1.0),
        (" Paris\n", False, 1.0),
        ("paris", False, 0.0),
        ("PARIS", True, 1.0),
        ("Pa ris", True, 0.0),
    ],
)
def test_the_verifier_compares_with_the_answer(text: str, normalise: bool, value: float) -> None:
    (verdict,) = Verifier(normalise).answer([asked(text)], "r0-s0")
    assert (verdict.status, verdict.value) == ("decided", value)


def test_without_a_reference_answer_verifying_fails_instead_of_scoring() -> None:
    (verdict,) = Verifier().answer([asked("Paris", answer=None)], "r0-s0")
    assert (verdict.status, verdict.value) == ("failed", None)


def test_the_verdict_is_read_from_the_probabilities_of_its_tokens() -> None:
    # OSP: probabilities 0.72 and 0.08 give q = 0.9
    verdict = reply(math.log(0.72), math.log(0.08))
    assert verdict.status == "decided"
    assert verdict.value == pytest.approx(0.9)


def test_a_model_that_gives_no_verdict_has_failed() -> None:
    verdict = reply(math.log(MIN_MASS / 4), math.log(MIN_MASS / 4))
    assert (verdict.status, verdict.value) == ("failed", None)
    assert reply(math.log(0.3), math.log(0.3)).status == "undecided"
    assert reply(math.nan, -0.1).status == "failed"
    assert reply(-1000.0, -0.1).value == 0.0


def test_an_answer_cannot_fill_another_field() -> None:
    template = "{instruction}|{answer_a}|{answer_b}"
    assert render(template, asked("{answer_b}", "{instruction}")) == "Capital?|{answer_b}|{instruction}"


@given(st.text(), st.text(), st.text())
def test_rendering_keeps_every_text_as_it_stands(instruction: str, first: str, second: str) -> None:
    shown = render("<{instruction}><{answer_a}><{answer_b}>", asked(first, second, instruction=instruction))
    assert shown == f"<{instruction}><{first}><{second}>"


def test_a_template_without_a_field_is_refused() -> None:
    with pytest.raises(Refused, match="answer_b"):
        check_template("{instruction} {answer_a}", "judge.txt")


@pytest.mark.parametrize("file", sorted(CONF.rglob("*pairwise*.txt")), ids=lambda f: f.name)
def test_the_templates_that_ship_are_complete(file: Path) -> None:
    assert check_template(file.read_text(), file.name)


def test_longer_conversations_name_the_roles() -> None:
    turns = [{"role": "system", "content": "s"}, *({"role": r, "content": r[0]} for r in ("user", "assistant", "user"))]
    question = Asked(Question("p", ["a", "b"]), turns, ("x", "y"), None)
    assert conversation_text(question) == "user: u\nassistant: a\nuser: u"
