"""Numbers, durations and foreign text as a person reads them; lines as spans with a tone, free of any terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Literal

Tone = Literal["", "dim", "strong", "good", "bad", "attention"]
Span = tuple[str, Tone]
Line = tuple[Span, ...]

NOTHING = "-"


def plain(line: Line) -> str:
    """The line without tones."""
    return "".join(text for text, _ in line).rstrip()


def visible(text: str) -> str:
    """Text in which whatever a terminal could obey (escapes, line ends, direction marks) is written as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def labelled(rows: Iterable[tuple[str, str]], width: int) -> list[Line]:
    """Rows of label and value, values aligned and wrapped; a row without a label is a sentence of its own."""
    rows = [(visible(label), visible(value)) for label, value in rows]
    indent = max((len(label) for label, _ in rows), default=0) + 2
    lines: list[Line] = []
    for label, value in rows:
        if not label:
            lines += [((part, ""),) for part in wrapped(value, width)]
            continue
        first, *others = wrapped(value, width - indent)
        lines.append(((label.ljust(indent), "dim"), (first, "")))
        lines += [((" " * indent, ""), (part, "")) for part in others]
    return lines


def wrapped(sentence: str, width: int) -> list[str]:
    """A sentence cut at spaces; words longer than the width, such as paths, stay whole so that they can be copied."""
    return textwrap.wrap(sentence, max(width, 20), break_long_words=False, break_on_hyphens=False) or [""]


def percent(share: float | None) -> str:
    """A share between 0 and 1, as 43.1%; at most five characters."""
    if share is None:
        return NOTHING
    return "100%" if share >= 0.9995 else f"{100 * share:.1f}%"


def points(difference: float | None) -> str:
    """A difference of two shares in points, signed; never a signed zero."""
    if difference is None:
        return NOTHING
    rounded = round(100 * difference, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def number(value: float | None) -> str:
    """About three significant digits in at most six characters, as 0.612, -12.3, 4e-05 or 1e+06."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.001 or size >= 9999.5:
        return f"{value:.0e}"
    return f"{value:.{3 if size < 9.9995 else 2 if size < 99.995 else 1 if size < 999.95 else 0}f}"


def short_number(value: float | None) -> str:
    """About two decimals in at most five characters for what is not negative, as 0.42, 12.3 or 456."""
    if value is None:
        return NOTHING
    if 0 < value < 0.005 or value >= 9999.5:
        return f"{value:.0e}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def statistic(value: float | str) -> str:
    """A value beside a progress bar: whole numbers with separators, others as `number`, text made visible."""
    if isinstance(value, str):
        return visible(value)
    return f"{value:,.0f}" if float(value).is_integer() else number(value)


def rate(per_second: float) -> str:
    """Units per second, as 0.42/s or 12,345/s."""
    return f"{short_number(per_second) if per_second < 99.95 else f'{per_second:,.0f}'}/s"


def count(n: int) -> str:
    """A count in at most four characters, as 9999, 12k or 3M."""
    if n < 10_000:
        return str(n)
    return f"{n / 1e3:.0f}k" if n < 999_500 else f"{n / 1e6:.0f}M"


def seconds(value: float | None) -> str:
    """Seconds in at most four characters, as 0.4, 123, 45m or 12h."""
    if value is None:
        return NOTHING
    if value < 9.95:
        return f"{value:.1f}"
    if value < 999.5:
        return f"{value:.0f}"
    return f"{value / 60:.0f}m" if value < 99.5 * 60 else f"{value / 3600:.0f}h"


def duration(value: float) -> str:
    """A duration in words, as 8.1 s, 2 min 41 s or 3 h 5 min."""
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def clock(value: float) -> str:
    """A running clock, as 0:04 or 1:02:03."""
    whole = int(value)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
