"""What the verifier's tests share."""

from __future__ import annotations

from typing import Any

from loop.judge_config import VerifierConfig, VerifierRule
from loop.judges.judge import Asked, Reply
from loop.judges.verifier import Verifier
from loop.judges.verifier_rules import needs_answer, options_of
from loop.records import Question


def asked(text: str, answer: str | None = "Paris") -> Asked:
    return Asked(Question("p", ["id0"]), [{"role": "user", "content": "Capital?"}], (text,), answer)


def configured(rule: str, **options: Any) -> VerifierConfig:
    return VerifierConfig(name="v", rule=VerifierRule(rule), options=options)


def verifier(rule: str, seconds: float = 5.0, **options: Any) -> Verifier:
    config = configured(rule, **options)
    return Verifier(config.rule, options_of(config), needs_answer(config), seconds)


def one(judge: Verifier, text: str, answer: str | None = "Paris") -> Reply:
    (reply,) = judge.answer([asked(text, answer)], "r0-s0")
    return reply


def is_a_verdict(reply: Reply) -> bool:
    """Decided with 0 or 1, or failed with nothing."""
    return (reply.status, reply.value) in (("decided", 0.0), ("decided", 1.0), ("failed", None))
