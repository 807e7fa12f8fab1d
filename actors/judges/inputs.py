"""Conversation and responses -> a classifier's token ids.

Ids are exactly those of the model's chat template, which is what it was trained on, as long as nobody wrote a control
token's string; such a string is encoded apart, as text. An input that is too long is put together of what stands
around a response and what is left of its tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2

from actors.judges.models import ModelInput
from loop.errors import Refused
from loop.judge_config import TooLong
from loop.judges.ordinary import PieceEncoder
from loop.judges.splicing import cut_to
from loop.prompts.encoding import Parts, added_around, parts_of
from loop.records import Message, digest_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Fitted:
    """An input within the limit, and how many tokens its responses lost to it."""

    input: ModelInput
    cut: int


class InputEncoder:
    """Shows a classifier one response, or two as two segments, each after the conversation: through the chat template,
    or without one as plain text, one turn below the other.

    `fitted` raises `jinja2.TemplateError` where the chat template refuses the conversation.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._pieces = PieceEncoder(tokenizer, strings_of_turns(tokenizer))
        self._control = re.compile("(" + "|".join(map(re.escape, self._pieces.strings)) + ")")

    def fitted(
        self, conversation: Sequence[Message], responses: Sequence[str], limit: int, too_long: TooLong
    ) -> Fitted | None:
        """At most `limit` tokens; None where they do not fit."""
        frame = self._frame(len(responses))
        room = limit - sum(map(len, frame))
        segments_T = [self._whole(conversation, response) for response in responses]
        cut = 0
        if sum(map(len, segments_T)) > room:
            if too_long is TooLong.refuse:
                return None
            before_T, after_T = self._around(conversation)
            written_T = [self._pieces.untrusted(response, not before_T) for response in responses]
            lengths = [len(tokens_T) for tokens_T in written_T]
            kept = cut_to(lengths, room - len(responses) * (len(before_T) + len(after_T)))
            if any(left < min(1, length) for left, length in zip(kept, lengths, strict=True)):
                return None
            parts_T = [part_of(tokens_T, left, too_long) for tokens_T, left in zip(written_T, kept, strict=True)]
            segments_T = [before_T + part_T + after_T for part_T in parts_T]
            cut = sum(lengths) - sum(kept)
        tokens_T, second = list(frame[0]), None
        for index, (segment_T, around_T) in enumerate(zip(segments_T, frame[1:], strict=True)):
            if index and "token_type_ids" in self.tokenizer.model_input_names:
                second = len(tokens_T)
            tokens_T += segment_T + around_T
        return Fitted(ModelInput(tokens_T, second), cut)

    def _frame(self, segments: int) -> list[list[int]]:
        """The ids that the tokenizer itself adds before, between and after segments; a chat template holds those of a
        single one."""
        if segments == 1:
            return [[], []] if self.tokenizer.chat_template else [*added_around(self.tokenizer)]
        bare_T = self.tokenizer("x", add_special_tokens=False)["input_ids"]
        pair_T = self.tokenizer("x", "x")["input_ids"]
        starts = [at for at in range(len(pair_T)) if pair_T[at : at + len(bare_T)] == bare_T]
        first, last = starts[0], starts[-1]
        return [pair_T[:first], pair_T[first + len(bare_T) : last], pair_T[last + len(bare_T) :]]

    def _whole(self, conversation: Sequence[Message], response: str) -> list[int]:
        return self._encoded(self._parts([*conversation, {"role": "assistant", "content": response}]))

    def _around(self, conversation: Sequence[Message]) -> tuple[list[int], list[int]]:
        """The ids before and after a response."""
        mark = digest_of("response", list(conversation))  # no text holds its own digest
        parts = self._parts([*conversation, {"role": "assistant", "content": mark}])
        holding = [at for at, part in enumerate(parts) if mark in part]
        if len(holding) != 1 or parts[holding[0]].count(mark) != 1:
            raise Refused("the judge's chat template does not show a response once, as it stands: it cannot be cut.")
        at = holding[0]
        before, after = parts[at].split(mark)
        return self._encoded([*parts[:at], before]), self._encoded([after, *parts[at + 1 :]], first=False)

    def _parts(self, turns: Sequence[Message]) -> Parts:
        """The rendered text, cut at what somebody wrote and is no text to the tokenizer."""
        return parts_of(turns, self._cut, self._rendered)

    def _cut(self, text: str) -> Parts:
        parts: Parts = self._control.split(text) if self._pieces.strings else [text]
        if any(self._pieces.control.intersection(self._pieces.trusted(part, True)) for part in parts[::2]):
            return ["", text, ""]  # the tokenizer finds its tokens in other spellings, too
        return parts

    def _rendered(self, turns: list[Message]) -> str:
        if not self.tokenizer.chat_template:
            return "\n".join(turn["content"] for turn in turns)
        # a prompt that is plain text is one turn of role `text`
        known = [{**turn, "role": "user" if turn["role"] == "text" else turn["role"]} for turn in turns]
        return str(self.tokenizer.apply_chat_template(known, tokenize=False))

    def _encoded(self, parts: Sequence[str], first: bool = True) -> list[int]:
        ids: list[int] = []
        for index, part in enumerate(parts):
            encode = self._pieces.untrusted if index % 2 else self._pieces.trusted
            ids += encode(part, first and not ids) if part else []
        return ids


def strings_of_turns(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Strings of added tokens that the chat template writes around turns, white space aside: not every model marks them
    as special."""
    written = ""
    for roles in (("user", "assistant", "user"), ("system", "user", "assistant")) if tokenizer.chat_template else ():
        turns = [{"role": role, "content": ""} for role in roles]
        with suppress(jinja2.TemplateError):  # not every template takes every role
            prompting = roles[-1] == "user"
            written += str(tokenizer.apply_chat_template(turns, add_generation_prompt=prompting, tokenize=False))
    added = (token.content for token in tokenizer.added_tokens_decoder.values())
    return [string for string in added if string.strip() and string in written]


def part_of(tokens_T: Sequence[int], kept: int, too_long: TooLong) -> list[int]:
    """The last or first `kept` tokens, by what too long a response loses."""
    return list(tokens_T[len(tokens_T) - kept :] if too_long is TooLong.cut_start else tokens_T[:kept])
