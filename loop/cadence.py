"""When something with a cadence happens."""

from __future__ import annotations

import math

from loop.config import AlgorithmConfig, RunConfig


def is_due(every: int, number: int, rounds: int) -> bool:
    """Whether something done every so many rounds happens in this one; the last round always counts."""
    return number % every == 0 or number == rounds


def looks_ahead(recipe: AlgorithmConfig, number: int) -> bool:
    """Whether a round only looks ahead: the next one begins where it began."""
    return recipe.look_ahead and number % 2 == 1


def evaluates_in(config: RunConfig, number: int) -> bool:
    """Whether the policy is measured on the test prompts at the end of a round; one that only looks ahead is passed
    over."""
    return is_due(config.evaluate.every, number, config.rounds) and not looks_ahead(config.algorithm, number)


def diagnoses_in(config: RunConfig, number: int) -> bool:
    """Whether a round is diagnosed; round 0 is where there is anything to compare with it."""
    every = config.diagnostics.every
    return every > 0 and is_due(every, number, config.rounds)


def gates_in(config: RunConfig, number: int) -> bool:
    """Whether the gate's prompts are answered in a round: from the initial policy on, whenever a candidate is judged. A
    round that only looks ahead has no candidate."""
    due = is_due(config.gate.every, number, config.rounds) and not looks_ahead(config.algorithm, number)
    return config.gate.enabled and due


def checkpoint_every(config: RunConfig) -> int:
    """Rounds between the learners' checkpoints at a round's end: where a candidate may become the incumbent, to which
    others are rolled back, there is one."""
    return math.gcd(config.checkpoint.every, config.gate.every) if config.gate.enabled else config.checkpoint.every


def saves_in(config: RunConfig, number: int) -> bool:
    """Whether the learners may write a checkpoint in this round's learn phase."""
    return config.checkpoint.steps > 0 or is_due(checkpoint_every(config), number, config.rounds)
