"""Losses as a small algebra: a score of an example, a kernel with a target, add-ons. A named loss is one row of
`table`."""

from loop.losses.pairs import PairBatch, Terms
from loop.losses.table import ROWS, Loss, Row, named_loss

__all__ = ["ROWS", "Loss", "PairBatch", "Row", "Terms", "named_loss"]
