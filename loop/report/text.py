"""What models, judges, data sets and people wrote, made harmless for a page: nothing hidden, nothing endless."""

from __future__ import annotations

from loop.view.text import visible


def shown(text: str, most: int) -> str:
    """The text with its line ends; everything else that is not printed (escapes, direction marks) is written as its
    escape. At most so many characters, with a word on what is left out. Markup is escaped by whoever renders."""
    whole = "\n".join(map(visible, text.split("\n")))
    if len(whole) <= most:
        return whole
    return f"{whole[:most]} … ({len(whole) - most:,} more characters)"


def printed(value: object) -> object:
    """What a template prints: text as `shown`, anything else as it is."""
    return "\n".join(map(visible, value.split("\n"))) if type(value) is str else value
