"""The demo's task: one-line instructions on random lower-case words, each with one right answer.

An instruction reads ``"Next: qkzbf"`` and its answer ``"rlacg"``. Words belong to disjoint pools by a hash of their
letters, so a word of one pool can never occur in another: what the policy was trained on is never what it is scored on.

Standard library only, and pure: everything random takes the generator to draw from.
"""

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from string import ascii_lowercase
from types import MappingProxyType

WORD_LENGTH = 5  # letters

_SUCCESSOR = str.maketrans(ascii_lowercase, ascii_lowercase[1:] + ascii_lowercase[0])
_STAR_FOR_VOWEL = str.maketrans(dict.fromkeys("aeiou", "*"))

KINDS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "Copy": str,
        "Upper": str.upper,
        "Next": lambda word: word.translate(_SUCCESSOR),  # the next letter of the alphabet, a after z
        "Mask": lambda word: word.translate(_STAR_FOR_VOWEL),
    }
)


class Pool(Enum):
    """A named set of words; the value is the hash buckets (of ``BUCKETS``) that belong to it."""

    DEMONSTRATIONS = range(0, 6)
    JUDGE = range(6, 12)
    ROUNDS = range(12, 14)
    HELD_OUT = range(14, 16)


BUCKETS = 16


@dataclass(frozen=True)
class Item:
    """An instruction and its one right answer."""

    prompt: str
    answer: str


def pool_of(word: str) -> Pool:
    """The one pool a word belongs to."""
    bucket = zlib.crc32(word.encode()) % BUCKETS
    return next(pool for pool in Pool if bucket in pool.value)


def answer_to(prompt: str) -> str:
    """The right answer to an instruction; ``ValueError`` when it is none of this task's."""
    kind, separator, word = prompt.partition(": ")
    if not separator or kind not in KINDS or not word:
        raise ValueError(f"not an instruction of this task: {prompt!r}")
    return KINDS[kind](word)


def is_right(prompt: str, answer: str) -> bool:
    """The gold score of one answer: exact match."""
    return answer == answer_to(prompt)


def draw_word(pool: Pool, rng: random.Random) -> str:
    """A random word of a pool."""
    while True:
        word = "".join(rng.choices(ascii_lowercase, k=WORD_LENGTH))
        if pool_of(word) is pool:
            return word


def draw_item(pool: Pool, rng: random.Random) -> Item:
    """An instruction of a random kind on a random word of a pool."""
    prompt = f"{rng.choice(tuple(KINDS))}: {draw_word(pool, rng)}"
    return Item(prompt, answer_to(prompt))


def make_items(pool: Pool, count: int, seed: int) -> tuple[Item, ...]:
    """``count`` items of a pool without a repeated prompt; the same for the same arguments."""
    rng = random.Random(f"{pool.name}/{seed}")
    items: dict[str, Item] = {}
    while len(items) < count:
        item = draw_item(pool, rng)
        items.setdefault(item.prompt, item)
    return tuple(items.values())
