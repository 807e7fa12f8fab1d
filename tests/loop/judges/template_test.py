"""Judge templates: their files, and how their fields are filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from loop.composition import CONF
from loop.errors import Refused
from loop.judges.judge import Asked
from loop.judges.template import JudgeTemplate, conversation_text, load_template, messages
from loop.records import Message, Question

SHIPPED = [*sorted((CONF / "templates").glob("*.yaml")), CONF / "demo" / "judge_pairwise.yaml"]
PAIR: dict[str, Any] = {
    "name": "pair",
    "version": 1,
    "source": "a test",
    "asks": "preference",
    "labels": ["A", "B"],
    "text": "<{instruction}><{answer_a}><{answer_b}>",
}
SCORE: dict[str, Any] = {
    "name": "score",
    "version": 1,
    "source": "a test",
    "asks": "score",
    "scores": [0, 1, 2],
    "text": "{instruction}|{answer}|{reference}",
}


def asked(*texts: str, answer: str | None = "Paris", turns: list[Message] | None = None) -> Asked:
    conversation = turns or [{"role": "user", "content": "Capital?"}]
    return Asked(Question("p", [f"id{i}" for i in range(len(texts))]), conversation, texts, answer)


def loaded(folder: Path, content: dict[str, Any]) -> JudgeTemplate:
    file = folder / "judge.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_template(str(file))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_the_templates_that_ship_can_be_read_and_filled(file: Path) -> None:
    template = load_template(str(file))
    texts = ("first",) if template.asks == "score" else ("first", "second")
    shown = messages(template, asked(*texts))[-1]["content"]
    assert all(text in shown for text in (*texts, "Capital?"))
    assert "{answer" not in shown and "{instruction" not in shown


def test_at_least_the_four_documented_templates_ship() -> None:
    shapes = {(one.asks, one.verdicts) for one in map(load_template, map(str, SHIPPED))}
    assert shapes >= {
        ("preference", ("A", "B")),
        ("preference", ("A", "B", "C")),
        ("score", ("0", "1", "2", "3", "4", "5")),
    }


def test_the_demos_policy_is_asked_the_words_it_was_trained_on() -> None:
    text = load_template(str(CONF / "demo" / "judge_pairwise.yaml")).text
    assert text == "Which is right?\n{instruction}\nA: {answer_a}\nB: {answer_b}"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"marks": "x"}, "no such key 'marks'; did you mean marker"),
        ({"name": None}, "name is missing"),
        ({"source": None}, "source is missing"),
        ({"text": None}, "text is missing"),
        ({"version": None}, "version is missing"),
        ({"version": "1"}, "version must be a whole number"),
        ({"version": True}, "version must be a whole number"),
        ({"asks": "rank"}, "asks must be score or preference, not 'rank'"),
        ({"asks": "score"}, "labels do not suit asks: score"),
        ({"labels": None}, "labels is missing"),
        ({"labels": ["A"]}, "labels must be"),
        ({"labels": ["A", "A"]}, "labels must be"),
        ({"labels": ["A", True]}, "labels must be"),
        ({"labels": ["A", " B"]}, "labels must be"),
        ({"labels": ["A", ""]}, "labels must be"),
        ({"labels": "AB"}, "labels must be"),
        ({"scores": [0, 1]}, "scores do not suit asks: preference"),
        ({"begin": 3}, "begin must be text"),
        ({"text": "{instruction}{answer_a}"}, "{answer_b} once, and shows it 0 times"),
        ({"text": "{instruction}{answer_a}{answer_a}{answer_b}"}, "{answer_a} once, and shows it 2 times"),
        ({"text": "{answer_a}{answer_b}"}, "{instruction} once"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_key(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    content = {key: value for key, value in {**PAIR, **change}.items() if value is not None}
    with pytest.raises(Refused) as refusal:
        loaded(tmp_path, content)
    assert "judge.yaml" in str(refusal.value)
    assert problem in str(refusal.value)


@pytest.mark.parametrize("scores", [[1], [1, 1], [0, 1.5], [0, True], "01", 5])
def test_scores_are_different_whole_numbers(tmp_path: Path, scores: Any) -> None:
    assert loaded(tmp_path, SCORE).scores == (0, 1, 2)
    with pytest.raises(Refused, match="scores must be"):
        loaded(tmp_path, {**SCORE, "scores": scores})


@pytest.mark.parametrize("content", [b"- a\n", b"a: [\n", b"\xff\xfe", b""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(Refused, match=r"broken\.yaml"):
        load_template(str(file))
    with pytest.raises(Refused, match=r"missing\.yaml"):
        load_template(str(tmp_path / "missing.yaml"))


def test_the_digest_is_of_what_is_asked_and_of_how_it_is_read(tmp_path: Path) -> None:
    first = loaded(tmp_path, PAIR)
    assert loaded(tmp_path, {**PAIR, "source": "elsewhere"}).digest == first.digest
    changes = ({"text": PAIR["text"] + "!"}, {"labels": ["B", "A"]}, {"begin": "["}, {"system": "s"}, {"version": 2})
    digests = {loaded(tmp_path, {**PAIR, **change}).digest for change in changes}
    assert len(digests | {first.digest}) == 6


@given(st.text(), st.text(), st.text())
def test_filling_keeps_every_text_as_it_stands(instruction: str, first: str, second: str) -> None:
    template = JudgeTemplate("t", 1, "", "preference", PAIR["text"], ("A", "B"))
    shown = messages(template, asked(first, second, turns=[{"role": "user", "content": instruction}]))
    assert shown == [{"role": "user", "content": f"<{instruction}><{first}><{second}>"}]


def test_an_answer_cannot_fill_another_field(tmp_path: Path) -> None:
    shown = messages(loaded(tmp_path, PAIR), asked("{answer_b}", "{instruction}"))
    assert shown[0]["content"] == "<Capital?><{answer_b}><{instruction}>"


def test_only_fields_of_the_templates_own_kind_are_filled(tmp_path: Path) -> None:
    template = loaded(tmp_path, {**SCORE, "text": SCORE["text"] + r" {answer_a} {x} \frac{1}{2}"})
    assert messages(template, asked("It is."))[0]["content"] == r"Capital?|It is.|Paris {answer_a} {x} \frac{1}{2}"
    assert template.shows_reference
    assert not loaded(tmp_path, PAIR).shows_reference


def test_a_system_turn_comes_first(tmp_path: Path) -> None:
    shown = messages(loaded(tmp_path, {**PAIR, "system": "Judge {instruction}."}), asked("a", "b"))
    assert [turn["role"] for turn in shown] == ["system", "user"]
    assert shown[0]["content"] == "Judge {instruction}."


def test_longer_conversations_name_the_roles() -> None:
    turns = [{"role": role, "content": role[0]} for role in ("system", "user", "assistant", "user")]
    assert conversation_text(asked("x", "y", turns=turns)) == "system: s\nuser: u\nassistant: a\nuser: u"
    assert conversation_text(asked("x", "y", turns=turns[:2])) == "system: s\nuser: u"
    for role in ("user", "text"):
        assert conversation_text(asked("x", turns=[{"role": role, "content": "as it\nstands"}])) == "as it\nstands"
