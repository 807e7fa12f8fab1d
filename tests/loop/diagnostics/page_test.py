from __future__ import annotations

from pathlib import Path

from loop.diagnostics.page import markdown
from loop.diagnostics.table import ROWS

PAGE = Path(__file__).parents[3] / "docs" / "diagnostics.md"


def test_the_page_of_diagnostics_is_that_of_the_table() -> None:
    assert PAGE.read_text() == markdown(), "python -m loop.diagnostics > docs/diagnostics.md"


def test_names_are_distinct_and_all_on_the_page() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(f"| `{row.name}` |" in markdown() for row in ROWS)
