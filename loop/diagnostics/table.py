"""The table of diagnostics, in the order in which they are shown."""

from __future__ import annotations

from loop.diagnostics.of_judges import JUDGES
from loop.diagnostics.of_learning import LEARNING
from loop.diagnostics.of_likelihoods import LIKELIHOODS
from loop.diagnostics.row import Row, told

__all__ = ["BY_NAME", "ROWS", "Row", "told"]

ROWS: tuple[Row, ...] = (*JUDGES, *LIKELIHOODS, *LEARNING)

BY_NAME = {row.name: row for row in ROWS}
