"""Chat turns -> token ids, once, through the policy's own template.

A special token's string inside a prompt is text that somebody wrote, never the token: such strings are taken out
before the template is rendered, and encoded on their own. Prompts without them get exactly the ids of
`apply_chat_template`. (A tokenizer that puts a space before every text it encodes puts one around such a string,
too.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING

import jinja2

from loop.config import Template
from loop.errors import Refused
from loop.records import Message, digest_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BATCH_TEXTS = 1024

Parts = list[str]
"""A text cut at special strings that are to be encoded as text: even indices are ordinary, odd ones such strings."""


class TemplateRefused(Refused):
    """The chat template raised on the conversation with this index."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"the chat template refuses conversation {index + 1}: {reason}.")
        self.index = index
        self.reason = reason


def encode(tokenizer: PreTrainedTokenizerBase, messages: list[Message], template: Template) -> list[int]:
    """The ids of one conversation with the generation prompt, or of a plain text with the tokenizer's own defaults."""
    return encode_all(tokenizer, [messages], template)[0]


def encode_all(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[list[Message]], template: Template
) -> list[list[int]]:
    """`encode` of many, in batches where no special string is in the way.

    Raises `Refused` for a tokenizer without a chat template, `TemplateRefused` for messages that its template rejects.
    """
    if template is Template.chat and not tokenizer.chat_template:
        raise Refused("the tokenizer has no chat template; a base model needs prompts.template=none.")
    strings = special_strings(tokenizer)
    pattern = re.compile("(" + "|".join(map(re.escape, strings)) + ")") if strings else None
    texts: list[Parts] = []
    for index, turns in enumerate(conversations):
        try:
            texts.append(_rendered(tokenizer, turns, template, pattern))
        except jinja2.TemplateError as error:
            raise TemplateRefused(index, str(error).rstrip(".")) from error
    whole = template is Template.none
    plain = iter(_encode_texts(tokenizer, [parts[0] for parts in texts if len(parts) == 1], defaults=whole))
    return [next(plain) if len(parts) == 1 else _encode_parts(tokenizer, parts, defaults=whole) for parts in texts]


def special_strings(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The strings that the tokenizer turns into special tokens, longest first."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted((added | set(tokenizer.all_special_tokens)) - {""}, key=len, reverse=True)


def _rendered(
    tokenizer: PreTrainedTokenizerBase, turns: list[Message], template: Template, pattern: re.Pattern[str] | None
) -> Parts:

    def cut(text: str) -> Parts:
        return pattern.split(text) if pattern else [text]

    def render(shown: list[Message]) -> str:
        return str(tokenizer.apply_chat_template(shown, add_generation_prompt=True, tokenize=False))

    return cut(turns[0]["content"]) if template is Template.none else parts_of(turns, cut, render)


def parts_of(turns: Sequence[Message], cut: Callable[[str], Parts], render: Callable[[list[Message]], str]) -> Parts:
    """What `render` makes of the turns, cut where `cut` cuts their contents: sentinels go through it in place of the
    strings that are to be encoded as text, which it never sees."""
    contents = [cut(turn["content"]) for turn in turns]
    found = [part for parts in contents for part in parts[1::2]]
    if not found:
        return [render(list(turns))]
    mark = digest_of("sentinel", list(turns))  # no text holds its own digest
    numbers = count()
    marked: list[Message] = [
        {
            **turn,
            "content": "".join(f"[{mark}:{next(numbers)}]" if at % 2 else part for at, part in enumerate(parts)),
        }
        for turn, parts in zip(turns, contents, strict=True)
    ]
    pieces = re.split(rf"\[{mark}:(\d+)\]", render(marked))
    return [found[int(part)] if at % 2 else part for at, part in enumerate(pieces)]


def _encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, defaults: bool) -> list[list[int]]:
    """Ids of texts; `defaults` adds the tokens that the tokenizer puts around a text by itself."""
    ids: list[list[int]] = []
    numbers: dict[int, int] = {}  # one object per id: Python's own would take most of the memory of a large pool
    for start in range(0, len(texts), _BATCH_TEXTS):
        batch = list(texts[start : start + _BATCH_TEXTS])
        encoded = tokenizer(batch, add_special_tokens=defaults, return_attention_mask=False, verbose=False)
        ids += [[numbers.setdefault(number, number) for number in one] for one in encoded["input_ids"]]
    return ids


def _encode_parts(tokenizer: PreTrainedTokenizerBase, parts: Parts, *, defaults: bool) -> list[int]:
    ids: list[int] = []
    for index, part in enumerate(parts):
        if part:
            ids += _as_text(tokenizer, part) if index % 2 else _encode_texts(tokenizer, [part], defaults=False)[0]
    before, after = added_around(tokenizer) if defaults else ([], [])
    return before + ids + after


def added_around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer adds before and after every text."""
    added = tokenizer("x")["input_ids"]
    bare = tokenizer("x", add_special_tokens=False)["input_ids"]
    start = next(at for at in range(len(added)) if added[at : at + len(bare)] == bare)
    return added[:start], added[start + len(bare) :]


def _as_text(tokenizer: PreTrainedTokenizerBase, special: str) -> list[int]:
    """A special token's string as ids of ordinary tokens."""
    # Some vocabularies hold the whole string as an ordinary entry, too; then it is cut.
    for pieces in ([special], [special[:1], special[1:]]):
        ids: list[int] = []
        for piece in pieces:
            ids += tokenizer(piece, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if special == tokenizer.unk_token or tokenizer.convert_tokens_to_ids(special) not in ids:
            return ids
    raise Refused(f"the tokenizer has no way to write {special!r} as text, and a prompt holds it.")
