"""The verifier's rule `math`: the response's final expression equals the reference answer. Can run for ever.

The last closed `\\boxed{}` counts, else a response that is nothing but an expression, else the last expression in it.
An expression that cannot be read says nothing about the response; only one that was read can be wrong.
"""

from __future__ import annotations

import re
from typing import Any

from math_verify import ExprExtractionConfig, LatexExtractionConfig, verify
from math_verify.parser import extract_target_from_pred, get_extraction_regexes

from loop.judges.verifier_checks import Finding, Options, told

ANYWHERE = 300
"""Priority of math-verify's patterns that look for an expression anywhere. Those before it prefer what follows words
such as *answer*, which a response could say more than once."""

BRACES = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)
DELIMITED = re.compile(r"\$|\\[(\[]")
COMMAND = re.compile(r"\\[a-zA-Z]+")
SPACED = re.compile(r"\d\s+\d")
THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:\s\d{3})+(?:\.\d+)?\s*(?:\\?%)?")
WORD = re.compile(r"[^\W\d_]{2,}")
MARKUP = re.compile(r"`|#|(?<=[^\W\d]):(?=[-+\d])|(?<![\w)])\*{1,2}(?=\S)|(?<=\S)\*{1,2}(?![\w(\\$-])")
"""Emphasis, headings and colons next to a number, which math-verify takes for part of it. A product keeps its sign."""

_PATTERNS = [
    ([(pattern, priority) for pattern, priority in patterns if priority == ANYWHERE], target)
    for patterns, target in get_extraction_regexes(
        [LatexExtractionConfig(boxed_match_priority=-1), ExprExtractionConfig()]
    )
]


class _Unreadable(ValueError):
    """There is an expression, and it cannot be read."""


def math(text: str, answer: str, options: Options) -> Finding:
    """By math-verify, whose own errors are raised."""
    try:
        reference = _reference(answer)
    except _Unreadable:
        return Finding(None, "the reference answer cannot be read as mathematics")
    if text.strip() == answer.strip():
        return told(True)  # also where nothing marks it as an expression
    try:
        found = _final(text)
    except _Unreadable:
        return Finding(None, "the final expression cannot be read")
    if found is None:
        return Finding(False, "wrong: no expression")
    return told(verify(reference, found, timeout_seconds=None, raise_on_error=True))


def _reference(answer: str) -> Any:
    boxed = last_boxed(answer)
    prose = boxed is None and DELIMITED.search(answer)
    found = _last(answer) if prose else _latex(answer if boxed is None else boxed)
    if found is None:
        raise _Unreadable
    return found


def _final(text: str) -> Any:
    boxed = last_boxed(text)
    if boxed is not None:
        return _latex(boxed) if boxed.strip() else None
    bare = _is_bare(text.strip())
    if bare:
        try:
            return _latex(text)
        except _Unreadable:
            pass
    found = _last(text)
    if found is None and bare:
        raise _Unreadable
    return found


def _is_bare(text: str) -> bool:
    """One line without delimiters or words, in which there is a digit or a LaTeX command."""
    if "\n" in text or DELIMITED.search(text) or not (re.search(r"\d", text) or COMMAND.search(text)):
        return False
    return not WORD.search(COMMAND.sub(" ", text))


def last_boxed(text: str) -> str | None:
    """What stands in the last `\\boxed{...}` whose braces close, in one pass; of nested ones the innermost."""
    opened: list[int | None] = []  # where a box's content begins; None for other braces
    last: tuple[int, int] | None = None
    for token in BRACES.finditer(text):
        if token[0].endswith("{") and len(token[0]) != 2:
            opened.append(token.end() if len(token[0]) > 2 else None)
        elif token[0] == "}" and opened:
            begin = opened.pop()
            if begin is not None and (last is None or begin > last[0]):
                last = begin, token.start()
    return None if last is None else text[last[0] : last[1]]


def _latex(content: str) -> Any:
    """The whole content, read as LaTeX. `_Unreadable` where there is none to read."""
    body = re.sub(r"(?<!\\)\$", " ", content).strip()
    if SPACED.search(body) and not COMMAND.search(body):
        if not THOUSANDS.fullmatch(body):
            raise _Unreadable  # a mixed number, or two: LaTeX has a product
        body = re.sub(r"\s", "", body)
    plain = re.sub(r"\\?%$", "", body).rstrip()
    return _read(f"$${plain}$${'%' if plain != body else ''}", _PATTERNS[:1])


def _last(text: str) -> Any:
    """The last expression of prose, None when there is none."""
    text = MARKUP.sub(" ", text)
    if not any(pattern.search(text) for patterns, _ in _PATTERNS for pattern, _ in patterns):
        return None
    return _read(text, _PATTERNS)


def _read(text: str, patterns: list[Any]) -> Any:
    found = extract_target_from_pred(text, patterns, fallback_mode="no_fallback", extraction_mode="first_match")
    if not found:
        raise _Unreadable
    return found[0]
