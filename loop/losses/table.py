"""The table of named losses, assembled from the modules that hold their formulas."""

from __future__ import annotations

from loop.losses.anchorless import ANCHORLESS
from loop.losses.asymmetric import ASYMMETRIC
from loop.losses.batched import BATCHED
from loop.losses.lists import LISTS
from loop.losses.mixed import MIXED
from loop.losses.pairwise import PAIRWISE
from loop.losses.parts import Row
from loop.losses.regression import REGRESSION
from loop.losses.singles import SINGLES
from loop.losses.tokens import TOKENS


def _by_name(*rows: Row) -> dict[str, Row]:
    named = {row.name: row for row in rows}
    assert len(named) == len(rows), "two rows of one name"
    return named


ROWS: dict[str, Row] = _by_name(
    *PAIRWISE, *ANCHORLESS, *ASYMMETRIC, *REGRESSION, *TOKENS, *BATCHED, *MIXED, *LISTS, *SINGLES
)
"""Every loss by its name."""
