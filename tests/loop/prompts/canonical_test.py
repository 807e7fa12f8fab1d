"""Raw row -> prompt."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from loop.config import Template
from loop.errors import Refused
from loop.prompts.canonical import canonical_row, prompt_id_of
from loop.prompts.reading import RawRow
from loop.records import Prompt

ASK = {"role": "user", "content": "hi"}
REPLY = {"role": "assistant", "content": "hello"}
RULE = {"role": "system", "content": "be kind"}


def prompt_of(columns: dict[str, Any], template: Template = Template.chat, system: str | None = None) -> Prompt:
    return canonical_row(RawRow("p.jsonl, line 7", columns), "p.jsonl", template, system).prompt


def test_a_string_is_one_user_turn_or_raw_text() -> None:
    assert prompt_of({"prompt": " hi "}).turns() == [{"role": "user", "content": " hi "}]
    assert prompt_of({"prompt": "hi"}, Template.none).turns() == [{"role": "text", "content": "hi"}]


def test_a_string_and_its_messages_are_the_same_prompt() -> None:
    listed = prompt_of({"prompt": [{"content": "hi", "role": "user", "name": None}]})
    assert listed == prompt_of({"prompt": "hi", "unknown": 3})
    assert listed.prompt_id == prompt_id_of('[{"content":"hi","role":"user"}]', None)


def test_the_answer_is_part_of_the_identity_and_other_columns_are_not() -> None:
    plain = prompt_of({"prompt": "hi"})
    assert prompt_of({"prompt": "hi", "answer": "x"}).prompt_id != plain.prompt_id
    assert prompt_of({"prompt": "hi", "completion": "x", "source": "s"}).prompt_id == plain.prompt_id


def test_the_last_assistant_turn_of_messages_is_the_completion() -> None:
    prompt = prompt_of({"messages": [ASK, REPLY, ASK, {**REPLY, "content": "last"}]})
    assert prompt.turns() == [ASK, REPLY, ASK]
    assert prompt.completion == "last"
    assert prompt_of({"messages": [ASK]}).completion is None
    with pytest.raises(Refused, match="`completion` differs from the assistant turn"):
        prompt_of({"messages": [ASK, REPLY], "completion": "other"})


def test_optional_columns_are_kept() -> None:
    columns = {
        "prompt": "hi",
        "answer": "a",
        "completion": "b",
        "chosen": [ASK, {**REPLY, "content": "first"}, ASK, REPLY],
        "rejected": "d",
    }
    prompt = prompt_of({**columns, "label": False, "teacher": "t", "source": "mine"})
    kept = (prompt.answer, prompt.completion, prompt.chosen, prompt.rejected, prompt.label, prompt.teacher)
    assert (*kept, prompt.source) == ("a", "b", "hello", "d", False, "t", "mine")
    assert prompt_of({"prompt": "hi", "source": None, "answer": None}).source == "p.jsonl"


@pytest.mark.parametrize(("value", "text"), [(42, "42"), (0.5, "0.5"), (Decimal("1.50"), "1.50"), ("", "")])
def test_numbers_become_answers(value: object, text: str) -> None:
    assert prompt_of({"prompt": "hi", "answer": value}).answer == text


def test_a_system_turn_comes_from_the_messages_the_row_or_the_configuration_in_this_order() -> None:
    assert prompt_of({"prompt": "hi"}, system="be kind").turns() == [RULE, ASK]
    assert prompt_of({"prompt": "hi", "system": "be kind"}, system="be brief").turns() == [RULE, ASK]
    assert prompt_of({"prompt": "hi", "system": ""}, system="be kind").turns() == [RULE, ASK]
    assert prompt_of({"prompt": [RULE, ASK], "system": "be brief"}).turns() == [RULE, ASK]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"question": "hi"}, "no `prompt` and no `messages`, only question"),
        ({"prompt": None}, "no `prompt` and no `messages`"),
        ({"prompt": 3}, "`prompt` must be a string or a list of messages, not a number"),
        ({"messages": "hi"}, "`messages` must be a list of messages, not a string"),
        ({"prompt": " \n"}, "`prompt` asks nothing"),
        ({"prompt": []}, "`prompt` has no user turn"),
        ({"prompt": [ASK, REPLY]}, "`prompt` has no user turn at its end"),
        ({"messages": [REPLY]}, "`messages` has no user turn"),
        ({"messages": [RULE, REPLY]}, "`messages` has no user turn at its end"),
        ({"prompt": ["hi"]}, "message 1 of `prompt` must be an object with role and content, not a string"),
        ({"prompt": [ASK, {"role": "tool", "content": "x"}]}, "message 2 of `prompt` has the role 'tool'"),
        ({"prompt": [{"role": ["user"], "content": "x"}]}, "message 1 of `prompt` has the role"),
        (
            {"prompt": [{"role": "user", "content": [1]}]},
            "the content of message 1 of `prompt` must be a string, not a list",
        ),
        ({"prompt": "a\ud800"}, "`prompt` holds half of a surrogate pair"),
        ({"prompt": [{"role": "user", "content": "\udc00"}]}, "`prompt` holds half of a surrogate pair"),
        ({"prompt": "hi", "answer": "\udc00"}, "`answer` holds half of a surrogate pair"),
        ({"prompt": "hi", "answer": True}, "`answer` must be a string, not a boolean"),
        ({"prompt": "hi", "answer": ["a"]}, "`answer` must be a string, not a list"),
        ({"prompt": "hi", "answer": float("nan")}, "`answer` is nan"),
        ({"prompt": "hi", "label": 1}, "`label` must be true or false, not a number"),
        ({"prompt": "hi", "system": {}}, "`system` must be a string, not an object"),
        ({"prompt": "hi", "chosen": [ASK]}, "`chosen` is a list of messages without an assistant turn"),
        ({"prompt": "hi", "rejected": 2.5}, "`rejected` must be a string, not a number"),
    ],
)
def test_wrong_rows_are_refused_with_place_and_field(columns: dict[str, Any], problem: str) -> None:
    with pytest.raises(Refused) as refusal:
        prompt_of(columns)
    assert str(refusal.value).startswith(f"p.jsonl, line 7: {problem}")


@pytest.mark.parametrize("columns", [{"messages": [ASK]}, {"prompt": [ASK]}, {"prompt": "hi", "system": "be kind"}])
def test_without_a_template_only_plain_text_is_accepted(columns: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"prompts\.template"):
        prompt_of(columns, Template.none)


def test_the_stored_messages_are_json_without_escapes() -> None:
    assert json.loads(prompt_of({"prompt": "ä\n"}).messages) == [{"role": "user", "content": "ä\n"}]
    assert "ä" in prompt_of({"prompt": "ä"}).messages
