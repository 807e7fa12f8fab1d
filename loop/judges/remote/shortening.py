"""Questions that a server refused, with less of the responses. Without the server's tokenizer this is an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loop.judge_config import TooLong
from loop.judges.judge import Asked
from loop.judges.splicing import cut_to
from loop.records import Message

BYTES_PER_TOKEN = 3
"""UTF-8 bytes that a token stands for, on the low side: English has four to five, Chinese about three."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A question with shorter responses, and about how many tokens these lost."""

    asked: Asked
    cut: int


def shortened(asked: Asked, turns: Sequence[Message], room: int, too_long: TooLong) -> Shortened | None:
    """The question in about `room` tokens, `turns` being its messages in full. None where that leaves nothing of a
    response, or where it is no longer than that as it is."""
    lengths = [len(_bytes(text)) for text in asked.texts]
    frame = sum(len(_bytes(turn["content"])) for turn in turns) - sum(lengths)
    kept = cut_to(lengths, max(0, room * BYTES_PER_TOKEN - frame))
    lost = sum(lengths) - sum(kept)
    texts = tuple(_cut(text, length, too_long) for text, length in zip(asked.texts, kept, strict=True))
    if lost == 0 or any(whole and not text for whole, text in zip(asked.texts, texts, strict=True)):
        return None
    return Shortened(replace(asked, texts=texts), -(-lost // BYTES_PER_TOKEN))


def _cut(text: str, length: int, too_long: TooLong) -> str:
    whole = _bytes(text)
    kept = whole[len(whole) - length :] if too_long is TooLong.cut_start else whole[:length]
    return kept.decode("utf-8", "ignore")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
