"""Untrusted text -> ids of ordinary tokens, whatever special strings somebody wrote into it.

Pieces are encoded apart and joined as ids, so nothing can merge across a seam. Some tokenizers put a space before every
text they encode, and would put one at every seam: all pieces but the first are encoded after an anchor, whose ids are
stripped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from loop.errors import Refused
from loop.prompts.encoding import special_strings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANCHORS = ("\n", ":", ")", "1", "x")
_BRACKETED = re.compile(r"\s*[<\[{(|\uff5c].*[>\])}|\uff5c]\s*", re.DOTALL)  # the last is a wide bar


def control_strings(tokenizer: PreTrainedTokenizerBase, also: Iterable[str] = ()) -> list[str]:
    """Strings of tokens that untrusted text must not become, longest first: special tokens, those in `also`, and added
    tokens in brackets, as turns, tools and thoughts have them in models that do not mark them as special. (Added words
    and white space stay one token.)"""
    added = (token.content for token in tokenizer.added_tokens_decoder.values())
    found = {*special_strings(tokenizer), *also, *(string for string in added if _BRACKETED.fullmatch(string))}
    return sorted(found - {""}, key=len, reverse=True)


class PieceEncoder:
    """Encodes pieces of one text. `also` names strings of further added tokens that must not come from untrusted text;
    see `control_strings`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, also: Iterable[str] = ()) -> None:
        self.tokenizer = tokenizer
        self.unknown: str | None = tokenizer.unk_token
        self.unknown_id: int | None = tokenizer.unk_token_id
        self.strings = control_strings(tokenizer, also)
        ids = tokenizer.convert_tokens_to_ids(self.strings)
        self.control = frozenset(ids) - {self.unknown_id}

    def trusted(self, text: str, first: bool) -> list[int]:
        """Ids of a piece in which strings of special tokens are those tokens; `first`: nothing stands before it."""
        return self._encode(text, first, split=False)

    def untrusted(self, text: str, first: bool) -> list[int]:
        """Ids of a piece, control tokens never among them. (Characters that the vocabulary lacks are its unknown
        token.) Raises: Refused where the vocabulary has no other way to write a character."""
        ids = self._encode(text, first, split=True)
        if not self._forbidden(text).intersection(ids):
            return ids
        if len(text) == 1:
            raise Refused(f"the tokenizer has no way to write {text!r} as text, and a judge's question holds it.")
        # An added token, or a special string that the vocabulary holds as an ordinary entry, too: it is cut until it is
        # none.
        middle = len(text) // 2
        return self.untrusted(text[:middle], first) + self.untrusted(text[middle:], False)

    def _forbidden(self, text: str) -> frozenset[int | None]:
        smuggled = self.unknown is not None and len(text) > 1 and self.unknown in text
        return self.control | {self.unknown_id} if smuggled else self.control

    def _encode(self, text: str, first: bool, split: bool) -> list[int]:
        for anchor, head in () if first else self._anchors:
            ids = self._ids(anchor + text, split)
            if ids[: len(head)] == head:  # nothing merged across the seam
                return ids[len(head) :]
        return self._ids(text, split)

    @cached_property
    def _anchors(self) -> list[tuple[str, list[int]]]:
        """Anchors with their ids. (An unknown one would take unknown characters after it into its token.)"""
        heads = [(anchor, self._ids(anchor, True)) for anchor in _ANCHORS]
        return [(anchor, head) for anchor, head in heads if head and self.unknown_id not in head]

    def _ids(self, text: str, split: bool) -> list[int]:
        encoded = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=split, return_attention_mask=False, verbose=False
        )
        ids: list[int] = encoded["input_ids"]
        return ids
