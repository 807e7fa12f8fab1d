"""When something with a cadence happens."""

from __future__ import annotations

from loop.config import AlgorithmConfig, CheckpointConfig, RunConfig


def is_due(every: int, number: int, rounds: int) -> bool:
    """Whether something done every so many rounds happens in this one; the last round always counts."""
    return number % every == 0 or number == rounds


def looks_ahead(recipe: AlgorithmConfig, number: int) -> bool:
    """Whether a round only looks ahead: the next one begins where it began."""
    return recipe.look_ahead and number % 2 == 1


def evaluates_in(config: RunConfig, number: int) -> bool:
    """Whether the policy is measured at the end of a round; one that only looks ahead is passed over."""
    return is_due(config.evaluate.every, number, config.rounds) and not looks_ahead(config.algorithm, number)


def diagnoses_in(config: RunConfig, number: int) -> bool:
    """Whether a round is diagnosed; round 0 is where there is anything to compare with it."""
    every = config.diagnostics.every
    return every > 0 and is_due(every, number, config.rounds)


def saves_in(checkpoint: CheckpointConfig, number: int, rounds: int) -> bool:
    """Whether the learners may write a checkpoint in this round's learn phase."""
    return checkpoint.steps > 0 or is_due(checkpoint.every, number, rounds)
