"""A row of the table of diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loop.diagnostics.diagnostic import Colour
from loop.diagnostics.rules import Rule

From = Literal["probe", "shards", "summary"]
"""Where a figure comes from: a probe of the learner, the round's shards, or what its phases report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A diagnostic: its name, a title for tables, its unit and how a value is written, where it comes from, and its
    rule.

    The sentence is `means` with the value in the place of {}, then what the colour says: `good` for green, `amber` and
    `red` with what to do. `source`: of the definition or of what it warns of.
    """

    name: str
    title: str
    unit: str
    form: str
    of: From
    means: str
    good: str
    amber: str
    red: str
    rule: Rule
    source: str = ""


GREY = "there is nothing to compare it with"


def told(row: Row, value: float, colour: Colour) -> str:
    """A diagnostic's sentence."""
    says = {"green": row.good, "amber": row.amber, "red": row.red, "grey": GREY}[colour]
    return f"{row.means.format(format(value, row.form))}: {says}."
