"""One diagnostic of one round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Colour = Literal["green", "amber", "red", "grey"]
"""As expected, worth a look, wrong; grey: nothing to compare it with, so that it is told but not judged."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A measured value. `sentence` says what it means and, unless green, what to do."""

    name: str
    value: float
    colour: Colour
    sentence: str

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Diagnostic:
        """From the dictionary that `dataclasses.asdict` gives. TypeError for an unknown field."""
        return cls(**values)
