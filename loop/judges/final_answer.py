"""The final answer that a response comes to, as text that is the same for the same answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal

_NUMBER = re.compile(
    r"(?:(?<![\w.)\]])[-\u2212])?"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)"
    r"(?:[eE][+-]?[0-9]{1,4})?"
)
"""A sign belongs to the number unless something stands right before it: `3-4` is 3 and 4."""


def last_line(text: str) -> str | None:
    """The last line that is not empty."""
    return next((line for line in map(_folded, reversed(text.splitlines())) if line), None)


def whole(text: str) -> str | None:
    """All of it."""
    return _folded(text) or None


def boxed(text: str) -> str | None:
    """What the last closed `\\boxed{...}` holds; the verifier's rule `math` takes the same one."""
    from loop.judges.verifier_math import last_boxed  # not at every start: its library takes half a second

    return _folded(last_boxed(text) or "") or None


def number(text: str) -> str | None:
    """The last number, without separators of thousands and in one form: `1,200.50` and `1200.5` are the same."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    digits = found[-1].replace(",", "").replace("\u2212", "-")
    value = Decimal(digits).normalize(Context(prec=len(digits), Emax=999_999, Emin=-999_999))
    return "0" if value == 0 else str(value)


def _folded(text: str) -> str:
    return " ".join(text.split())


EXTRACT: Mapping[str, Callable[[str], str | None]] = {
    "last_line": last_line,
    "whole": whole,
    "boxed": boxed,
    "number": number,
}
"""By name; None where a text has no final answer. Runs of white space are one space."""
