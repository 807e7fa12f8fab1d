"""When a figure is amber or red: a rule sees the figure, the round's others, and those of the rounds before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loop.diagnostics.diagnostic import Colour

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """A figure to be judged, with all figures of its round (`now`) and of the closed rounds `before` it, from round 0
    on; a round that was not measured has none."""

    name: str
    now: Figures
    before: Sequence[Figures]

    @property
    def value(self) -> float:
        """The figure itself."""
        return self.now[self.name]

    @property
    def initial(self) -> float | None:
        """The initial policy's."""
        return self.before[0].get(self.name) if self.before else None

    @property
    def last(self) -> Figures | None:
        """The figures of the newest round before that had this one."""
        return next((one for one in reversed(self.before) if self.name in one), None)

    @property
    def earlier(self) -> list[float]:
        """This figure in all rounds before that had it."""
        return [one[self.name] for one in self.before if self.name in one]


Reader = Callable[[Case], float | None]
"""What a threshold looks at; None: nothing can be said."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The colour of a case, and in words when it is amber and red."""

    of: Callable[[Case], Colour]
    amber: str
    red: str


def own(case: Case) -> float | None:
    """The figure as it is."""
    return case.value


def above(amber: float, red: float, read: Reader = own, words: str = "above {}") -> Rule:
    """Amber and red above a threshold each; `words` say so."""

    def colour(case: Case) -> Colour:
        at = read(case)
        return "grey" if at is None else "red" if at > red else "amber" if at > amber else "green"

    return Rule(colour, words.format(f"{amber:g}"), words.format(f"{red:g}"))


def below(amber: float, red: float) -> Rule:
    """Amber and red where the figure itself is below a threshold each."""

    def colour(case: Case) -> Colour:
        return "red" if case.value < red else "amber" if case.value < amber else "green"

    return Rule(colour, f"below {amber:g}", f"below {red:g}")


def when(amber: str, amber_if: Callable[[Case], bool], red: str, red_if: Callable[[Case], bool], *needs: str) -> Rule:
    """Amber and red by a condition each; grey where one of the round's other figures `needs` is not there, or without
    a round before where `before` is needed."""

    def colour(case: Case) -> Colour:
        there = {*case.now, *(["before"] if case.last is not None else [])}
        if not there.issuperset(needs):
            return "grey"
        return "red" if red_if(case) else "amber" if amber_if(case) else "green"

    return Rule(colour, amber, red)
