"""Three small responses and their sequences, under two anchors."""

from __future__ import annotations

from dataclasses import replace

from loop.batches import sequence_of
from loop.records import Response
from tests.loop.factories import response


def row(response_id: str, prompt: list[int], tokens: list[int], mask: list[bool] | None = None) -> Response:
    """A response whose sampler's log-probs are -1/2, -1, -3/2, ..."""
    logprobs = [-0.5 * (i + 1) for i in range(len(tokens))]
    return replace(
        response(0, id=response_id),
        prompt_tokens_T=prompt,
        tokens_T=tokens,
        logprobs_T=logprobs,
        loss_mask_T=mask or [True] * len(tokens),
    )


ROWS = [
    row("a", [1, 2], [3, 4, 5]),
    row("b", [1, 2], [6]),
    row("c", [7], [8, 9], [True, False]),
]
SEQUENCES = {one.response_id: sequence_of(one, [None, [-10.0] * len(one.tokens_T)]) for one in ROWS}
