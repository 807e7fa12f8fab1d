"""What a person sees of a run: a banner, progress, one row per round, the final summary."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console

from loop.view.plain import PlainView
from loop.view.protocol import Phase, View
from loop.view.terminal import TerminalView

__all__ = ["Phase", "View", "can_draw", "open_view"]

PLAIN_WIDTH = 100


def can_draw(is_terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether bars and colours make sense: a terminal that can move its cursor, watched by a person."""
    return is_terminal and not environment.get("CI") and environment.get("TERM") not in ("dumb", "unknown")


def open_view(file: TextIO, environment: Mapping[str, str]) -> View:
    """The view for a stream: drawn on a terminal, plain lines anywhere else. NO_COLOR is respected."""
    if can_draw(file.isatty(), environment):
        return TerminalView(Console(file=file, no_color=bool(environment.get("NO_COLOR"))))
    return PlainView(file, shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns)
