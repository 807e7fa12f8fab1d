"""Rows made for tests."""

from __future__ import annotations

from loop.judging import Group
from loop.records import Judgement, Response


def response(k: int, text: str = "", finish: str = "end", prompt_id: str = "p", id: str | None = None) -> Response:
    """A response whose tokens follow from its text (by default its number)."""
    text = text or f"answer {k}"
    tokens = [ord(c) for c in text] + [0]
    return Response(
        response_id=id or f"id{k}",
        round=1,
        purpose="train",
        policy="r0-s0",
        prompt_id=prompt_id,
        k=k,
        prompt_tokens_T=[1, 2, 3],
        tokens_T=tokens,
        logprobs_T=[-0.5] * len(tokens),
        loss_mask_T=[True] * len(tokens),
        text=text,
        finish_reason=finish,
        seed=7,
        sampling="{}",
        tokenizer="t",
    )


def group(*responses: Response) -> Group:
    """A group of the responses given."""
    return Group(responses[0].prompt_id, responses)


def judgement(ids: list[str], value: float | None, status: str = "decided", sample: int = 0) -> Judgement:
    """A judgement of the responses in the order shown."""
    return Judgement("j", 1, "p", ids, sample, "raw", status, value, "judge", "digest")
