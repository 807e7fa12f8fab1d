"""Losses as a small algebra: a score of an example, a kernel with a target, add-ons. A named loss is one row of
`table`."""

from loop.losses.batch import Batch, ListBatch, PairBatch, Side, SingleBatch, Terms
from loop.losses.loss import Loss, named_loss
from loop.losses.parts import Labels, Needs, Row
from loop.losses.table import ROWS

__all__ = [
    "ROWS",
    "Batch",
    "Labels",
    "ListBatch",
    "Loss",
    "Needs",
    "PairBatch",
    "Row",
    "Side",
    "SingleBatch",
    "Terms",
    "named_loss",
]
