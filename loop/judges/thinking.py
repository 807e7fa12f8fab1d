"""What a model said, without what it thought before it said it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence


def visible(text: str, markers: Sequence[str]) -> str | None:
    """The text without what stands between the thinking markers (opening, closing; none of them: the text as it is).
    Blocks may repeat and nest. A closing marker without an opening one ends a block that the chat template opened: all
    before it is thought. None when a block never ends. No marker is left in the result."""
    if not markers:
        return text
    opening, closing = markers
    shown: str | None = text
    before = None
    while shown is not None and shown != before:  # what is left of a block's two sides may join to a marker
        before, shown = shown, _without_blocks(shown, opening, closing)
    return shown


def _without_blocks(text: str, opening: str, closing: str) -> str | None:
    kept: list[str] = []
    depth = start = 0
    either = "|".join(re.escape(marker) for marker in sorted((opening, closing), key=len, reverse=True))
    for found in re.finditer(either, text):
        opens = found.group() == opening and not (opening == closing and depth)
        if opens and not depth:
            kept.append(text[start : found.start()])
        elif not depth:
            kept.clear()
        depth = depth + 1 if opens else max(0, depth - 1)
        start = found.end()
    return None if depth else "".join([*kept, text[start:]])
