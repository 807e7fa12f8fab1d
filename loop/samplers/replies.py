"""Text from outside -> the tokens with which a policy would have given it as its answer, end token included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import jinja2

from loop.config import Template
from loop.errors import Refused
from loop.judges.ordinary import PieceEncoder
from loop.prompts.encoding import Parts, encode, parts_of, special_strings
from loop.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Encoder:
    """How conversations and replies become a policy's tokens: its tokenizer, the run's `prompts.template`, the tokens
    that end an answer, and how many tokens of prompt and answer together it takes."""

    tokenizer: PreTrainedTokenizerBase
    template: Template
    ends: frozenset[int]
    max_context: int

    def turns(self, turns: Sequence[Message]) -> list[int]:
        """The ids of a conversation, up to where its answer begins. Raises: Refused where the template has no words for
        it."""
        if self.template is Template.none and len(turns) != 1:
            raise Refused(f"prompts.template=none has no words for a conversation of {len(turns)} turns.")
        return encode(self.tokenizer, list(turns), self.template)

    def reply(self, turns: Sequence[Message], text: str) -> list[int]:
        """The ids of a text as the answer to a conversation: those that come behind `turns(turns)`, up to the token
        that ends it.

        A special token's string in the text is encoded as text, as in prompts. The text is encoded apart from what
        stands before it, as an engine samples it. Raises: Refused where the template shows the conversation otherwise
        once it has an answer, does not show the text as it stands (but for white space), or does not end it with a
        token that ends an answer.
        """
        if self.template is Template.none:
            if self.tokenizer.eos_token_id is None:
                raise Refused("the tokenizer has no end token, so given texts would never end.")
            return [*self._ids(self._cut(text)), self.tokenizer.eos_token_id]
        parts = self._shown(turns, text)
        if "".join(text.split()) not in "".join("".join(parts).split()):
            raise Refused(f"the chat template does not show an answer as it stands, for example {_short(text)}.")
        ids = self._ids(parts)
        end = max((at for at, token in enumerate(ids) if token in self.ends), default=-1)
        if end < 0 or self.tokenizer.decode(ids[end + 1 :], skip_special_tokens=True).strip():
            raise Refused(
                "the chat template ends an answer with none of the tokens at which the engines stop (eos_token_id of "
                "the model's generation configuration), so given texts would never end."
            )
        return ids[: end + 1]

    def _shown(self, turns: Sequence[Message], text: str) -> Parts:
        """What the template writes behind the conversation when this is its answer."""
        asked = self._rendered(list(turns), answered=False)
        said = self._rendered([*turns, {"role": "assistant", "content": text}], answered=True)
        last = len(asked) - 1
        if said[:last] != asked[:last] or not said[last:] or not said[last].startswith(asked[last]):
            raise Refused(
                "the chat template shows a conversation otherwise once it has an answer, so a given text cannot stand "
                f"behind the tokens of its prompt, for example {_short(text)}."
            )
        return [said[last].removeprefix(asked[last]), *said[last + 1 :]]

    def _rendered(self, turns: list[Message], answered: bool) -> Parts:
        def render(shown: list[Message]) -> str:
            return str(self.tokenizer.apply_chat_template(shown, add_generation_prompt=not answered, tokenize=False))

        try:
            return parts_of(turns, self._cut, render)
        except jinja2.TemplateError as error:
            reason = str(error).rstrip(".")
            raise Refused(f"the chat template refuses a conversation with a given text: {reason}.") from error

    def _cut(self, text: str) -> Parts:
        pattern = _special(self.tokenizer)
        return pattern.split(text) if pattern else [text]

    def _ids(self, parts: Parts) -> list[int]:
        encoder, ids = _pieces(self.tokenizer), list[int]()
        for at, part in enumerate(parts):
            if part:
                ids += encoder.untrusted(part, False) if at % 2 else encoder.trusted(part, False)
        return ids


@lru_cache(maxsize=4)
def _special(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str] | None:
    strings = special_strings(tokenizer)
    return re.compile("(" + "|".join(map(re.escape, strings)) + ")") if strings else None


@lru_cache(maxsize=4)
def _pieces(tokenizer: PreTrainedTokenizerBase) -> PieceEncoder:
    return PieceEncoder(tokenizer)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
