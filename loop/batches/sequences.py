"""A response behind its prompt, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loop.errors import Refused
from loop.records import Response

LogProbs = Sequence[float] | np.ndarray


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One response behind its prompt: `tokens_T` holds both, the others run over the response's tokens only (`_R`).
    `anchors_AR` are its log-probs under each anchor, in the order in which the loss names them (`_A`)."""

    tokens_T: np.ndarray
    loss_mask_R: np.ndarray
    anchors_AR: np.ndarray

    @property
    def prompt_length(self) -> int:
        """Number of tokens before the response."""
        return len(self.tokens_T) - len(self.loss_mask_R)


def sequence_of(response: Response, anchors: Sequence[LogProbs | None] = ()) -> TokenSequence:
    """A response as arrays, with its log-probs under each anchor; None stands for the sampler's own.

    Raises `Refused` when there is not one log-prob per response token.
    """
    anchors_AR = [response.logprobs_T if logprobs_R is None else logprobs_R for logprobs_R in anchors]
    for logprobs_R in anchors_AR:
        if len(logprobs_R) != len(response.tokens_T):
            raise Refused(
                f"response {response.response_id} has {len(response.tokens_T)} tokens, "
                f"but {len(logprobs_R)} anchor log-probs"
            )
    return TokenSequence(
        np.asarray([*response.prompt_tokens_T, *response.tokens_T], np.int32),
        np.asarray(response.loss_mask_T, np.bool_),
        np.asarray(anchors_AR, np.float32).reshape(len(anchors), len(response.tokens_T)),
    )
