"""The verifier's rules that need nothing but text: what each finds in one response. Outer white space never counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Options = Mapping[str, float | str]
"""A rule's own options, defaults filled in; `schema` is the schema's text."""

ANSWER = "{answer}"
"""What stands for the reference answer in a pattern."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a response is right, None where that could not be told, and why in a few words."""

    right: bool | None
    said: str


Check = Callable[[str, str, Options], Finding]
"""From the response, the reference answer (empty where a rule needs none) and the options."""


def told(right: bool) -> Finding:
    """Right or wrong, with nothing more to say."""
    return Finding(right, "right" if right else "wrong")


def exact(text: str, answer: str, options: Options) -> Finding:
    """The response is the reference answer."""
    return told(text.strip() == answer.strip())


def normalised(text: str, answer: str, options: Options) -> Finding:
    """It is, after folding case and runs of white space."""
    return told(_folded(text) == _folded(answer))


def length(text: str, answer: str, options: Options) -> Finding:
    """It has from `min` to `max` of `unit`."""
    count = len(text.split()) if options["unit"] == "words" else len(text.strip())
    right = float(options["min"]) <= count <= float(options["max"])
    return Finding(right, f"{'right' if right else 'wrong'}: {count} {options['unit']}")


def regex(text: str, answer: str, options: Options) -> Finding:
    """`pattern` is found in it, or with `whole` is all of it. Can run for ever."""
    pattern = str(options["pattern"])
    if ANSWER in pattern:
        if not answer.strip():
            return Finding(None, "the reference answer is empty, and would be found everywhere")
        pattern = pattern.replace(ANSWER, re.escape(answer.strip()))
    match = re.fullmatch if options["whole"] else re.search
    return told(match(pattern, text.strip()) is not None)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


QUICK: dict[str, Check] = {"exact": exact, "normalised": normalised, "length": length}
"""The rules whose time grows with the text's length and no faster. The others run in a process of their own."""
