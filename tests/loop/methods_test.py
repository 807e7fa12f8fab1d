from __future__ import annotations

from pathlib import Path

from loop.losses import ROWS
from loop.methods import markdown
from loop.pairing import RULES

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_page_of_methods_is_that_of_the_tables() -> None:
    assert PAGE.read_text() == markdown(), "python -m loop.methods > docs/methods.md"


def test_the_page_names_every_loss_and_rule() -> None:
    page = markdown()
    assert all(f"| `{name}` |" in page for name in (*ROWS, *RULES))
