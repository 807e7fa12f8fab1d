"""Where plots go."""

from __future__ import annotations

from pathlib import Path

from loop.errors import Refused

SUFFIXES = (".svg", ".png")


def checked(path: str) -> Path:
    """The file to draw to. Raises: Refused unless it is an SVG or PNG file in a folder that exists."""
    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise Refused(f"--plot {path}: the file's name must end in {' or '.join(SUFFIXES)}")
    if not file.parent.is_dir():
        raise Refused(f"--plot {path}: there is no folder {file.parent}")
    return file
