"""Raw row -> prompt: canonical chat turns, answer, optional columns. What is wrong is refused with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from loop.config import Template
from loop.prompts.reading import RawRow, kind_of
from loop.records import Message, Prompt, digest_of

OPTIONAL_COLUMNS = ("answer", "completion", "chosen", "rejected", "label", "teacher")
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt that is read but not encoded yet (`tokens_T` is empty), with the place that it was read from."""

    place: str
    prompt: Prompt


def canonical_json(turns: Iterable[Message]) -> str:
    """Chat turns as the one JSON text that stands for them."""
    return json.dumps(list(turns), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def prompt_id_of(messages: str, answer: str | None) -> str:
    """The identity of a prompt: the digest of its canonical messages and its answer."""
    return digest_of("prompt", messages, answer)


def canonical_row(row: RawRow, source: str, template: Template, system: str | None) -> Draft:
    """One row as a prompt. `source` and `system` serve where the row brings none; an empty system text counts as none.

    Raises `Refused` where the row has no prompt or a field of the wrong type.
    """
    turns, reply = _turns_and_reply(row, template)
    messages = canonical_json(_with_system(row, turns, template, system))
    answer = _answer(row)
    completion = _reply(row, "completion")
    if None not in (completion, reply) and completion != reply:
        row.refuse("`completion` differs from the assistant turn that ends `messages`")
    prompt = Prompt(
        prompt_id=prompt_id_of(messages, answer),
        messages=messages,
        tokens_T=[],
        answer=answer,
        source=_text(row, "source") or source,
        completion=reply if completion is None else completion,
        chosen=_reply(row, "chosen"),
        rejected=_reply(row, "rejected"),
        label=_label(row),
        teacher=_reply(row, "teacher"),
    )
    return Draft(row.place, prompt)


def _turns_and_reply(row: RawRow, template: Template) -> tuple[list[Message], str | None]:
    """The turns that ask, and the assistant turn that `messages` may end in."""
    prompt, messages = row.columns.get("prompt"), row.columns.get("messages")
    if prompt is None and messages is None:
        row.refuse(f"no `prompt` and no `messages`, only {', '.join(map(str, row.columns)) or 'an empty object'}")
    column, value = ("messages", messages) if prompt is None else ("prompt", prompt)
    if column == "prompt" and isinstance(value, str):
        role = "user" if template is Template.chat else "text"
        return [{"role": role, "content": _filled(row, "prompt", value)}], None
    if not isinstance(value, list):
        row.refuse(
            f"`{column}` must be a {'string or a ' * (column == 'prompt')}list of messages, not {kind_of(value)}"
        )
    if template is Template.none:
        row.refuse(f"`{column}` is a list of messages, which prompts.template=none cannot put into words")
    turns, reply = _messages(row, column, value), None
    if column == "messages" and turns and turns[-1]["role"] == "assistant":
        reply = turns.pop()["content"]
    if not turns or turns[-1]["role"] != "user":
        row.refuse(f"`{column}` has no user turn {'at its end' if turns else ''}".rstrip())
    _filled(row, column, turns[-1]["content"])
    return turns, reply


def _with_system(row: RawRow, turns: list[Message], template: Template, system: str | None) -> list[Message]:
    own = _text(row, "system")
    if own and template is Template.none:
        row.refuse("`system` needs a chat template, but prompts.template is none")
    content = own or system
    if not content or turns[0]["role"] == "system":
        return turns
    return [{"role": "system", "content": content}, *turns]


def _messages(row: RawRow, column: str, value: list[Any]) -> list[Message]:
    turns: list[Message] = []
    for number, message in enumerate(value, start=1):
        if not isinstance(message, dict):
            row.refuse(
                f"message {number} of `{column}` must be an object with role and content, not {kind_of(message)}"
            )
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES:
            row.refuse(f"message {number} of `{column}` has the role {role!r}; roles are {', '.join(_ROLES)}")
        if not isinstance(content, str):
            row.refuse(f"the content of message {number} of `{column}` must be a string, not {kind_of(content)}")
        turns.append({"role": role, "content": _encodable(row, column, content)})
    return turns


def _encodable(row: RawRow, column: str, text: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            row.refuse(f"`{column}` holds half of a surrogate pair, which is not text")
    return text


def _filled(row: RawRow, column: str, text: str) -> str:
    if not text.strip():
        row.refuse(f"`{column}` asks nothing: its text is empty")
    return _encodable(row, column, text)


def _text(row: RawRow, column: str) -> str | None:
    value = row.columns.get(column)
    if value is None:
        return None
    if not isinstance(value, str):
        row.refuse(f"`{column}` must be a string, not {kind_of(value)}")
    return _encodable(row, column, value)


def _reply(row: RawRow, column: str) -> str | None:
    """A column that holds one reply: a string, or messages whose last assistant turn is taken."""
    value = row.columns.get(column)
    if not isinstance(value, list):
        return _text(row, column)
    replies = [turn["content"] for turn in _messages(row, column, value) if turn["role"] == "assistant"]
    if not replies:
        row.refuse(f"`{column}` is a list of messages without an assistant turn")
    return replies[-1]


def _answer(row: RawRow) -> str | None:
    value = row.columns.get("answer")
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if not math.isfinite(value):
            row.refuse(f"`answer` is {value}, which is not a number")
        return str(value)
    return _text(row, "answer")


def _label(row: RawRow) -> bool | None:
    value = row.columns.get("label")
    if value is not None and not isinstance(value, bool):
        row.refuse(f"`label` must be true or false, not {kind_of(value)}")
    return value
