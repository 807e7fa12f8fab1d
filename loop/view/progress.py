"""How far a phase has come, in words. Pure: the clock is handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loop.view.text import duration, rate, statistic, visible


@dataclass(slots=True)
class Meter:
    """Counts the units of one phase, begun at `started` seconds of the view's clock; no `unit`: one single call.
    `before` of those done were there already when the run went on."""

    round: int
    name: str
    total: int
    unit: str
    started: float
    done: int = 0
    before: int = 0
    stats: dict[str, float | str] = field(default_factory=dict)

    def advance(self, n: int, stats: Mapping[str, float | str]) -> None:
        """Count n more units and keep the newest value of each statistic."""
        self.done += n
        self.stats.update(stats)

    def resume(self, n: int) -> None:
        """Count n units that were done before."""
        self.done += n
        self.before += n

    def label(self) -> str:
        """Round and phase."""
        return f"round {self.round}  {visible(self.name)}"

    def amount(self) -> str:
        """Units done, of how many; empty for a single call."""
        if not self.unit:
            return ""
        of = f"/{self.total:,}" if self.total else ""
        return f"{self.done:,}{of} {visible(self.unit)}"

    def rate(self, now: float) -> str:
        """Mean units per second since the start; empty before the first unit that was made now."""
        elapsed = now - self.started
        made = self.done - self.before
        return rate(made / elapsed) if made and elapsed > 0 else ""

    def stats_text(self) -> str:
        """The newest statistics, in the order in which they first came."""
        return "  ".join(f"{visible(name)} {statistic(value)}" for name, value in self.stats.items())

    def begun(self) -> str:
        """The sentence at the start."""
        of = f": {self.total:,} {visible(self.unit)}" if self.total else ""
        return f"{self.label()}{of}"

    def under_way(self, now: float) -> str:
        """A sentence in between."""
        parts = [self.label(), self.amount(), self.rate(now), duration(now - self.started), self.stats_text()]
        return "  ".join(part for part in parts if part)

    def ended(self, now: float) -> str:
        """The sentence at the end."""
        if self.before and self.before == self.done:
            return f"{self.label()}  {self.done:,} {visible(self.unit)}, there already"
        rate = f" ({self.rate(now)})" if self.rate(now) else ""
        amount = f"{self.done:,} {visible(self.unit)}" if self.done else "done"
        there = f", {self.before:,} of them there already" if self.before else ""
        parts = [self.label(), f"{amount} in {duration(now - self.started)}{rate}{there}", self.stats_text()]
        return "  ".join(part for part in parts if part)

    def broken_off(self, now: float) -> str:
        """The sentence when the phase ended with an error."""
        amount = f"{self.amount()}, " if self.unit else ""
        return f"{self.label()}  broken off after {amount}{duration(now - self.started)}"
