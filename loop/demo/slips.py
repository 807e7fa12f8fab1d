"""Slips: the ways in which a demonstrator gets a right answer almost right."""

import random
from collections.abc import Callable
from string import ascii_lowercase


def swap_neighbours(text: str, rng: random.Random) -> str:
    """Two neighbouring letters change places (no change where they are equal)."""
    at = rng.randrange(len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def drop(text: str, rng: random.Random) -> str:
    """One letter is left out."""
    at = rng.randrange(len(text))
    return text[:at] + text[at + 1 :]


def double(text: str, rng: random.Random) -> str:
    """One letter is written twice."""
    at = rng.randrange(len(text))
    return text[: at + 1] + text[at:]


def replace(text: str, rng: random.Random) -> str:
    """One letter becomes a random one of the same case (no change where it is the same letter)."""
    at = rng.randrange(len(text))
    letter = rng.choice(ascii_lowercase)
    return text[:at] + (letter.upper() if text[at].isupper() else letter) + text[at + 1 :]


SLIPS: tuple[Callable[[str, random.Random], str], ...] = (swap_neighbours, drop, double, replace)


def slip(right: str, rng: random.Random) -> str:
    """``right`` with one slip of a random kind: never equal to ``right``."""
    if len(right) < 2:
        raise ValueError(f"too short for a slip: {right!r}")
    while True:
        wrong = rng.choice(SLIPS)(right, rng)
        if wrong != right:
            return wrong
