"""A judge's question -> token ids, so that nothing in it can pass for more than text.

The judge's own chat template is rendered with sentinels in place of the fields. What the template says is encoded with
special tokens; conversation, responses and reference answer are encoded apart, without them, and spliced in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import jinja2

from loop.errors import Refused
from loop.judge_config import TooLong
from loop.judges.judge import Asked, Reply
from loop.judges.ordinary import PieceEncoder
from loop.judges.template import ANSWERS, JudgeTemplate, filling, pieces, turns
from loop.prompts.encoding import added_around
from loop.records import digest_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


TOO_LONG = Reply("the question is longer than judge.max_context", "failed", None)


@dataclass(frozen=True, slots=True)
class Spliced:
    """A question as the judge's token ids, and how many tokens its responses lost to the limit."""

    tokens_T: list[int]
    cut: int


@dataclass(frozen=True)
class Frame:
    """A template as one tokenizer's ids: `literals_T` stand before, between and after the `fields`."""

    literals_T: tuple[list[int], ...]
    fields: tuple[str, ...]
    opens_with_field: bool
    encoder: PieceEncoder

    @property
    def tokens(self) -> int:
        """What the template takes by itself."""
        return sum(map(len, self.literals_T))


@lru_cache(maxsize=16)
def frame_of(tokenizer: PreTrainedTokenizerBase, template: JudgeTemplate) -> Frame:
    """The template's frame, made once. Raises: Refused where the chat template does not take the template's turns as
    they stand."""
    texts, fields = _rendered(tokenizer, template)
    texts[-1] += template.begin
    said = "".join(texts)
    named = [token.content for token in tokenizer.added_tokens_decoder.values() if not token.content.isspace()]
    # Some chat templates are built on added tokens that are not marked as special.
    encoder = PieceEncoder(tokenizer, [string for string in named if string and string in said])
    start = [] if tokenizer.chat_template else added_around(tokenizer)[0]
    literals = [encoder.trusted(text, first=not index) if text else [] for index, text in enumerate(texts)]
    return Frame((start + literals[0], *literals[1:]), tuple(fields), not texts[0], encoder)


def spliced(
    tokenizer: PreTrainedTokenizerBase, template: JudgeTemplate, asked: Asked, limit: int, too_long: TooLong
) -> Spliced | None:
    """The question in at most `limit` tokens, `template.begin` at its end; the responses alone are cut. None where it
    does not fit, or only with nothing left of a response.

    Special tokens come from template and chat template only. A tokenizer must not be changed after its first question.
    Raises: Refused as `frame_of` does.
    """
    frame = frame_of(tokenizer, template)
    filled = filling(template, asked)
    parts_T: dict[str, list[int]] = {}
    for index, field in enumerate(frame.fields):
        first = not index and frame.opens_with_field
        parts_T[field] = frame.encoder.untrusted(filled[field], first) if filled[field] else []
    shown = ANSWERS[template.asks]
    lengths = [len(parts_T[field]) for field in shown]
    room = limit - frame.tokens - sum(len(parts_T[field]) for field in frame.fields if field not in shown)
    if room < 0 or (too_long is TooLong.refuse and sum(lengths) > room):
        return None
    kept = cut_to(lengths, room)
    if any(length and not left for length, left in zip(lengths, kept, strict=True)):
        return None
    for field, length in zip(shown, kept, strict=True):
        whole_T = parts_T[field]
        parts_T[field] = whole_T[len(whole_T) - length :] if too_long is TooLong.cut_start else whole_T[:length]
    tokens_T = list(frame.literals_T[0])
    for field, literal_T in zip(frame.fields, frame.literals_T[1:], strict=True):
        tokens_T += parts_T[field] + literal_T
    return Spliced(tokens_T, sum(lengths) - sum(kept))


def cut_to(lengths: Sequence[int], room: int) -> list[int]:
    """What is left of one or two lengths in the room: the longer one gives way down to the other, then both alike, so
    that the order in which they are shown does not matter (which may leave one token of room)."""
    if sum(lengths) <= room:
        return list(lengths)
    share = room // len(lengths)
    most = max(share, room - min(lengths)) if len(lengths) == 2 else room
    return [min(length, most) for length in lengths]


def _rendered(tokenizer: PreTrainedTokenizerBase, template: JudgeTemplate) -> tuple[list[str], list[str]]:
    """The texts around the fields, one more than fields, and the fields."""
    cut = pieces(template)
    mark = digest_of("sentinel", template.text)  # no text holds its own digest
    user = "".join(f"[{mark}:{index}]" if index % 2 else part for index, part in enumerate(cut))
    asked = turns(template.system, user)
    if tokenizer.chat_template:
        try:
            shown = str(tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False))
        except jinja2.TemplateError as error:
            reason = str(error).rstrip(".")
            raise Refused(f"the judge's chat template refuses judge template {template.name}: {reason}.") from error
    else:
        shown = "\n\n".join(turn["content"] for turn in asked)
    parts = re.split(rf"\[{mark}:(\d+)\]", shown)
    if parts[1::2] != [str(index) for index in range(1, len(cut), 2)]:
        raise Refused(f"the judge's chat template does not show judge template {template.name} once, as it stands.")
    return parts[::2], cut[1::2]
