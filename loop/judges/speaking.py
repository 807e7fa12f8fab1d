"""What a text judge asks of a language model, wherever that runs: probabilities of next tokens, or text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Writing:
    """How text is sampled. With `choices` nothing else can be written than one of them."""

    temperature: float
    max_tokens: int
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A text, special tokens left out, and whether the model ended it itself: cut at a limit, it may say something that
    it would have taken back. `tokens_T` are its ids, end token included, where the model runs here."""

    text: str
    ended: bool
    tokens_T: tuple[int, ...] = ()


class Speaker(Protocol):
    """A language model that reads token ids. `policy` is the version that the engines serve; only the policy's own
    engines read it. None in a result: the input fills the model's context."""

    def next_logprobs(
        self, inputs_T: Sequence[list[int]], tokens: Sequence[int], policy: str
    ) -> list[list[float] | None]:
        """Log-probs (nats, over the whole vocabulary, not renormalised) of each of `tokens` after each input."""
        ...

    def write(
        self, inputs_T: Sequence[list[int]], seeds: Sequence[int], writing: Writing, policy: str
    ) -> list[Written | None]:
        """One text after each input."""
        ...

    def usage(self) -> dict[str, float]:
        """As `Judge.usage`."""
        ...
