"""What is worth waking somebody for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loop.summary import RoundSummary, RunSummary

Level = Literal["WARN", "ERROR"]

LONGEST_TITLE = 63


@dataclass(frozen=True, slots=True)
class Alert:
    """`title` holds names and numbers only; `text` may quote what a model wrote."""

    title: str
    text: str
    level: Level

    @classmethod
    def of(cls, title: str, text: str, level: Level) -> Alert:
        """An alert whose title is as long as Weights & Biases allows."""
        return cls(title[:LONGEST_TITLE], text, level)


def round_alerts(summary: RoundSummary, red: frozenset[str]) -> tuple[list[Alert], frozenset[str]]:
    """A round's alerts, and which diagnostics count as red after it. `red` are those before: one that was told is not
    told again until it was green."""
    told: list[Alert] = []
    gate = summary.gate
    if gate is not None and gate.decision == "rejected":
        told.append(Alert.of(f"round {summary.round}: the gate rejected {gate.candidate}", gate.reason, "WARN"))
    for one in summary.diagnostics:
        if one.colour == "red" and one.name not in red:
            told.append(Alert.of(f"round {summary.round}: {one.name} is red ({one.value:.4g})", one.sentence, "WARN"))
    now = {one.name for one in summary.diagnostics if one.colour == "red"}
    green = {one.name for one in summary.diagnostics if one.colour == "green"}
    return told, (red | now) - green


def end_alert(summary: RunSummary) -> Alert | None:
    """The alert of a run that ended early."""
    if summary.finished:
        return None
    return Alert.of(f"stopped in round {summary.last.round + 1}", summary.stopped_because or "", "ERROR")
