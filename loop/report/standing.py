"""Which of a run's rounds count."""

from __future__ import annotations

from loop.summary import RoundSummary, RunSummary


def all_rounds(run: RunSummary) -> list[RoundSummary]:
    """The initial policy and the trained rounds; none before the initial policy was measured."""
    return [run.initial, *run.rounds] if run.initial.policy else []


def is_rejected(round: RoundSummary) -> bool:
    """Whether the round's candidate, to which its gold score belongs, was not kept."""
    return round.gate is not None and round.gate.decision == "rejected"


def policy_of(round: RoundSummary) -> str:
    """The label of the version that the round's measurements belong to."""
    return round.candidate if round.candidate is not None else round.policy


def spaced(numbers: list[int], most: int) -> list[int]:
    """At most so many of the numbers, evenly spaced, the first and the last among them."""
    if len(numbers) <= most:
        return numbers
    last = len(numbers) - 1
    return [numbers[round(at * last / (most - 1))] for at in range(most)]
