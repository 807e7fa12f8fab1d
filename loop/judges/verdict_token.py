"""Pairwise judging by a verdict token: the template, and what the token's probabilities mean. Pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from loop.errors import Refused
from loop.judges.judge import Asked, Reply

FIELDS = ("{instruction}", "{answer_a}", "{answer_b}")
MIN_MASS = 0.5
"""A reply whose two verdict tokens together hold less probability than this is failed: the model did not give a
verdict."""


def check_template(template: str, where: str) -> str:
    """The template itself. Raises: Refused when a field is missing."""
    missing = [f for f in FIELDS if f not in template]
    if missing:
        raise Refused(f"{where}: a pairwise judge template needs {', '.join(missing)}")
    return template


def verdict_tokens(tokenizer: Any, labels: Sequence[str]) -> list[int]:
    """The token ids of the labels. Raises: Refused when a label is not one token of this vocabulary."""
    ids = [tokenizer.encode(label, add_special_tokens=False) for label in labels]
    for label, tokens in zip(labels, ids, strict=True):
        if len(tokens) != 1:
            raise Refused(f"judge.labels: {label!r} is {len(tokens)} tokens for this model, and a verdict must be one")
    return [int(tokens[0]) for tokens in ids]


def render(template: str, asked: Asked) -> str:
    """The judge's user turn. Fields are filled in one pass, so an answer that contains `{answer_b}` stays text."""
    filling = dict(zip(FIELDS, (conversation_text(asked), *asked.texts), strict=True))
    parts = [template]
    for field in FIELDS:
        parts = [piece for part in parts for piece in _split_keeping(part, field)]
    return "".join(filling.get(part, part) for part in parts)


def _split_keeping(text: str, field: str) -> list[str]:
    if text in FIELDS:
        return [text]
    pieces = text.split(field)
    return [x for i, piece in enumerate(pieces) for x in ((field, piece) if i else (piece,)) if x]


def conversation_text(asked: Asked) -> str:
    """A single user turn as it stands; longer conversations with a role before each turn."""
    turns = [t for t in asked.conversation if t["role"] != "system"]
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n".join(f"{t['role']}: {t['content']}" for t in turns)


def reply(log_first: float, log_second: float) -> Reply:
    """P(first shown is better) = e^a / (e^a + e^b) from the log-probs of the two verdict tokens."""
    if math.isnan(log_first) or math.isnan(log_second):
        return Reply("not a number", "failed", None)
    mass = math.exp(log_first) + math.exp(log_second)
    raw = json.dumps({"first": round(math.exp(log_first), 6), "second": round(math.exp(log_second), 6)})
    if mass < MIN_MASS:
        return Reply(raw, "failed", None)
    if log_first == log_second:
        return Reply(raw, "undecided", 0.5)
    return Reply(raw, "decided", math.exp(log_first) / mass)
