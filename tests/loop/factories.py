"""Rows made for tests."""

from __future__ import annotations

from loop.records import Example, Judgement, Response
from loop.verdict import Group


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


def pair_example(
    example_id: str,
    chosen: str,
    rejected: str,
    strength: float = 1.0,
    margin: float = 0.0,
    weight: float = 1.0,
    round: int = 1,
    prompt_id: str = "p",
    stage: int = 0,
) -> Example:
    """A pair without labels."""
    ids, roles = [chosen, rejected], ["chosen", "rejected"]
    return Example(example_id, round, prompt_id, ids, roles, [], strength, margin, weight, stage)


def list_example(example_id: str, items: list[str], labels: list[float], weight: float = 1.0) -> Example:
    """A labelled list."""
    return Example(example_id, 1, "p", items, ["item"] * len(items), labels, 1.0, 0.0, weight, 0)


def single_example(example_id: str, response: str, label: float, weight: float = 1.0) -> Example:
    """A labelled response alone."""
    return Example(example_id, 1, "p", [response], ["response"], [label], 1.0, 0.0, weight, 0)
