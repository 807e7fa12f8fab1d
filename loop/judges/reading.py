"""What a judge's reply says: by the probabilities of the tokens that may come first in it, or by its text. Pure.

A verdict is there or the judgement is failed: nothing is guessed, cut short or squeezed into the scale.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from loop.judges.judge import Reply

ROUNDING = 0.01
"""Nats by which a log-prob of a model in half precision may exceed 0."""

EMPHASIS = "*`\"'"
OPENING = f"{EMPHASIS}[({{"
CLOSING = f"{EMPHASIS}])}}.,;!"
SPACE = r"[ \t\u00a0]*+"
OPEN = f"[{re.escape(OPENING)}]*+"
CLOSE = f"[{re.escape(CLOSING)}]*+"
CLOSED = f"[{re.escape(CLOSING.replace(',', ''))}]++"
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
RANGE = r"(?:or|to|and|[-,~&+\u2013\u2014])"
REST = 200
"""Characters of a verdict's line that are searched for another label: a long line costs no more than its length."""

SCORE = re.compile(
    rf"(?P<score>{NUMBER})(?:{SPACE}(?:/|of|out{SPACE}of){SPACE}(?P<top>{NUMBER}))?+{CLOSE}(?=\s|\Z)"
    rf"(?!{SPACE}(?:{RANGE}{SPACE})?{OPEN}[\d/%])"
)
"""A whole number token, alone or out of the largest score; not the beginning of another number, range or share."""
NUMERIC = re.compile(rf"[-+~<>=\u2212\u2013\u2248]*+{SPACE}\.?\d")
"""What begins like a number: a verdict or, where `SCORE` does not hold, a malformed one."""


def expected_score(logprobs: Mapping[str, float], scores: Sequence[int], min_mass: float) -> Reply:
    """Mean of the scores under the probabilities of their tokens, from `logprobs` (nats, by decoded token; white space
    around a token does not count). Failed where these hold less than `min_mass` together or a log-prob is none."""
    raw, shares = _shares(logprobs, [str(score) for score in scores], min_mass)
    if not shares:
        return Reply(raw, "failed", None)
    mean = math.fsum(score * share for score, share in zip(scores, shares, strict=True))
    return Reply(raw, "decided", min(max(mean, float(min(scores))), float(max(scores))))  # rounding


def preference(logprobs: Mapping[str, float], labels: Sequence[str], min_mass: float) -> Reply:
    """P(first is better) from log-probs as in `expected_score`; `labels` are those of first, second and, where the
    template has one, tie, whose mass goes to both sides in halves. Undecided where no side holds more than the tie, or
    both hold the same."""
    raw, shares = _shares(logprobs, labels, min_mass)
    if not shares:
        return Reply(raw, "failed", None)
    first, second, tie = (*shares, 0.0)[:3]
    if first == second or tie >= max(first, second):
        return Reply(raw, "undecided", 0.5)
    return Reply(raw, "decided", min(first + tie / 2, 1.0))


def _shares(logprobs: Mapping[str, float], labels: Sequence[str], min_mass: float) -> tuple[str, list[float]]:
    """The labels' probabilities as JSON, and as shares of what they hold together; no shares below `min_mass`."""
    if not all(logprob <= ROUNDING for logprob in logprobs.values()):
        return "not a log-probability", []
    logs = [[logprob for token, logprob in logprobs.items() if token.strip() == label.strip()] for label in labels]
    top = max((logprob for of_label in logs for logprob in of_label), default=-math.inf)
    if top == -math.inf:
        return json.dumps({"mass": 0.0}), []
    parts = [math.fsum(math.exp(logprob - top) for logprob in of_label) for of_label in logs]
    whole = math.fsum(parts)
    mass = math.exp(top) * whole
    each = {label.strip(): round(math.exp(top) * part, 6) for label, part in zip(labels, parts, strict=True)}
    raw = json.dumps({"mass": round(mass, 6), "probabilities": each})
    return raw, [] if mass < min_mass else [part / whole for part in parts]


def parse_score(text: str, scores: Sequence[int], marker: str) -> Reply:
    """The number n after `marker` in what the judge wrote (`Score: 4`, `**Score:** 4/5`), or the whole reply where it
    is a number. Failed without one, with two that differ, and with one that is malformed or outside of the scale, whose
    ends are the smallest and the largest of `scores`; n may be a decimal between them."""
    starts = [found.end() for found in _marked(text, marker) if NUMERIC.match(text, found.end())]
    found = {_score_at(text, start, max(scores)) for start in starts} or {_bare_score(text, max(scores))}
    score = found.pop()
    if found or score is None or not min(scores) <= score <= max(scores):
        return Reply(text, "failed", None)
    return Reply(text, "decided", score)


def _score_at(text: str, start: int, top: int) -> float | None:
    found = SCORE.match(text, start)
    if found is None or (found["top"] is not None and float(found["top"]) != top):
        return None
    return float(found["score"])


def _bare_score(text: str, top: int) -> float | None:
    bare = text.strip().lstrip(OPENING)
    return _score_at(bare, 0, top) if SCORE.fullmatch(bare) else None


def parse_choice(text: str, labels: Sequence[str], marker: str) -> Reply:
    """1.0 for the first label, 0.0 for the second, undecided for the third (tie): as `[[A]]`, as `MARKER A`, or as the
    whole reply. Failed without a verdict, with two that differ, and where a label that was not asked for stands in a
    verdict's place."""
    found = set(_choices(text, labels, marker)) or {_bare_choice(text, labels)}
    choice = found.pop()
    if found or choice is None or choice not in labels:
        return Reply(text, "failed", None)
    place = list(labels).index(choice)
    return Reply(text, "undecided", 0.5) if place == 2 else Reply(text, "decided", 1.0 - place)


def _choices(text: str, labels: Sequence[str], marker: str) -> Iterator[str | None]:
    """The label of every verdict; None or a word that is no label for one that is malformed."""
    label = "|".join(map(re.escape, labels))
    either = rf"(?P<label>{label}|[^\W\d_]+)"
    begun = rf"(?:{label})(?!\w)"
    for found in re.finditer(rf"\[\[{SPACE}(?:{either}{SPACE}\]\]|{begun})", text):
        yield found["label"]
    # "A tie" and "A or B" begin with a label too: only another sentence may follow on the line, without another label
    other = rf"(?<!\w)(?!(?P=label)(?!\w)){begun}"
    end = rf"(?:{CLOSE}{SPACE}(?=[\r\n]|\Z)|{CLOSED}(?=\s)(?!.{{0,{REST}}}{other}))"
    verdict = re.compile(rf"{either}{end}|{begun}")
    for place in _marked(text, marker):
        match = verdict.match(text, place.end())
        if match and not place.group().endswith("[["):
            yield match["label"]


def _bare_choice(text: str, labels: Sequence[str]) -> str | None:
    bare = text.strip()
    return next((x for x in labels if x in (bare, bare.lstrip(OPENING).rstrip(CLOSING))), None)


def _marked(text: str, marker: str) -> Iterator[re.Match[str]]:
    """Where the marker stands as words of its own, with the colon and the emphasis that may follow it."""
    name = marker.strip().rstrip(":=").split()
    if not name:
        return iter(())
    colon = "[:=]" if marker.strip()[-1] in ":=" else "[:=]?"
    words = r"\s+".join(map(re.escape, name))
    left = r"(?<!\w)" if re.match(r"\w", words) else ""
    right = r"(?!\w)" if re.search(r"\w\Z", words) else ""
    emphasis = f"[{re.escape(EMPHASIS)}]*+"
    return re.finditer(rf"{left}(?i:{words}){right}{emphasis}{SPACE}{colon}{OPEN}{SPACE}{OPEN}", text)
