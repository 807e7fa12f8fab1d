"""Judge templates: versioned YAML files that say what a language model is asked and how its verdict looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]

from loop.errors import Refused, nearest
from loop.judges.judge import Asked
from loop.records import Message, digest_of

Asks = Literal["score", "preference"]

ANSWERS: Mapping[str, tuple[str, ...]] = {"score": ("answer",), "preference": ("answer_a", "answer_b")}
"""By what a template asks: the fields of the responses, in the order shown."""

_REQUIRED = ("name", "version", "source", "asks", "text")


@dataclass(frozen=True)
class JudgeTemplate:
    """What a judge is asked: a `score` of one response, or a `preference` between two.

    `labels` (first better, second better[, tie]) or `scores` are the verdicts; in a written reply they stand after
    `marker` (labels also as `[[A]]`). `begin` is what the reply begins with where its next token is read or
    constrained; `system` is the system turn, if any. `source` names where the wording comes from.
    """

    name: str
    version: int
    source: str
    asks: Asks
    text: str
    labels: tuple[str, ...] = ()
    scores: tuple[int, ...] = ()
    marker: str = ""
    begin: str = ""
    system: str = ""

    @property
    def digest(self) -> str:
        """Of the content: everything but `source`, which changes nothing that is asked."""
        return digest_of("judge template", {**asdict(self), "source": ""})

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The labels or scores as they are written."""
        return self.labels or tuple(map(str, self.scores))

    @property
    def shows_reference(self) -> bool:
        """Whether the judge sees the reference answer, so that a prompt without one cannot be judged."""
        return "{reference}" in self.text


def load_template(path: str) -> JudgeTemplate:
    """The template in a file. Raises: Refused naming the file and the key that is missing, unknown or wrong."""
    try:
        read = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"judge template {path} cannot be read: {_reason(error)}.") from error
    except yaml.YAMLError as error:
        raise Refused(f"judge template {path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(read, dict):
        raise Refused(f"judge template {path} is not a mapping of keys to values.")
    known = [field.name for field in fields(JudgeTemplate)]
    for key in read:
        if key not in known:
            raise Refused(f"judge template {path}: no such key {key!r}{nearest(str(key), known)}.")
    for key in _REQUIRED:
        if key not in read:
            raise Refused(f"judge template {path}: {key} is missing.")
    for key, value in read.items():
        what, fits = _SHAPES.get(key, _TEXT)
        if not fits(value):
            raise Refused(f"judge template {path}: {key} must be {what}, not {value!r}.")
    listed = {key: tuple(read[key]) for key in ("labels", "scores") if key in read}
    template = JudgeTemplate(**{**read, **listed})
    if problem := _problem(template):
        raise Refused(f"judge template {path}: {problem}.")
    return template


def conversation_text(asked: Asked) -> str:
    """A single turn as it stands; longer conversations, system turns included, with a role before each turn."""
    if len(asked.conversation) == 1:
        return asked.conversation[0]["content"]
    return "\n".join(f"{t['role']}: {t['content']}" for t in asked.conversation)


def filling(template: JudgeTemplate, asked: Asked) -> dict[str, str]:
    """The text of every field. A missing reference answer is empty."""
    shown = dict(zip(ANSWERS[template.asks], asked.texts, strict=True))
    return {"instruction": conversation_text(asked), **shown, "reference": asked.answer or ""}


def pieces(template: JudgeTemplate) -> list[str]:
    """The text cut at its fields: even indices are literal text, odd ones names of fields."""
    names = ("instruction", *ANSWERS[template.asks], "reference")
    return re.split(r"\{(" + "|".join(names) + r")\}", template.text)


def turns(system: str, user: str) -> list[Message]:
    """The chat turns that put a text to the judge."""
    asked: list[Message] = [{"role": "user", "content": user}]
    return [{"role": "system", "content": system}, *asked] if system else asked


def messages(template: JudgeTemplate, asked: Asked) -> list[Message]:
    """The chat turns that put the question. Fields are filled in one pass: an answer that contains `{answer_b}` stays
    text."""
    filled = filling(template, asked)
    parts = [filled[part] if index % 2 else part for index, part in enumerate(pieces(template))]
    return turns(template.system, "".join(parts))


def _problem(template: JudgeTemplate) -> str | None:
    """Part of a sentence: why the keys do not suit each other, if so."""
    wanted, other = ("scores", "labels") if template.asks == "score" else ("labels", "scores")
    if getattr(template, other):
        return f"{other} do not suit asks: {template.asks}, which takes {wanted}"
    if not getattr(template, wanted):
        return f"{wanted} is missing, which asks: {template.asks} takes"
    shown = pieces(template)[1::2]
    for field in ("instruction", *ANSWERS[template.asks]):
        if shown.count(field) != 1:
            return f"text must show {{{field}}} once, and shows it {shown.count(field)} times"
    return None


def _are_labels(value: Any) -> bool:
    words = isinstance(value, list) and all(isinstance(one, str) and one == one.strip() != "" for one in value)
    return words and len(value) in (2, 3) and len(set(value)) == len(value)


def _are_scores(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int for one in value) and len(set(value)) == len(value) > 1


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8"


_Shape = tuple[str, Callable[[Any], bool]]
_TEXT: _Shape = ("text", lambda value: isinstance(value, str))
_SHAPES: Mapping[str, _Shape] = {
    "version": ("a whole number from 1", lambda value: type(value) is int and value >= 1),
    "asks": ("score or preference", lambda value: value in ("score", "preference")),
    "labels": ("two or three different words (first better, second better, tie)", _are_labels),
    "scores": ("a list of two or more different whole numbers", _are_scores),
}
