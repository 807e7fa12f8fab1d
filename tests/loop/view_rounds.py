"""Rounds and a run to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loop.summary import RoundSummary, RunSummary, wilson


def scored(round: int, right: int, **fields: Any) -> RoundSummary:
    """A round with so many of 200 test answers right."""
    low, high = wilson(right, 200)
    bare = RoundSummary(round=round, policy=f"r{round}", gold_score=right / 200, gold_low=low, gold_high=high)
    return replace(bare, **fields)


INITIAL = scored(0, 80, seconds={"evaluate": 3.0})
FIRST = scored(
    1,
    130,
    prompts=256,
    responses=2048,
    examples=243,
    ties=13,
    failed_judgements=2,
    judgements=2048,
    truncated=7,
    response_tokens_mean=7.12,
    loss=0.6123,
    kl=1.84,
    steps=4,
    seconds={"generate": 8.13, "judge": 0.41, "learn": 12.4, "push": 0.62, "evaluate": 3.0, "round": 21.2},
    checkpoint="/runs/demo/checkpoints/round-000001",
)
SECOND = replace(scored(2, 100), responses=2048, notes=["every group was [bold]tied[/bold]\x1b[31m"])
RUN = RunSummary(
    run="demo-dpo-verifier-12345678",
    identity="1" * 32,
    experiment="demo",
    algorithm="dpo",
    judge="verifier",
    model="tiny",
    seed=0,
    finished=True,
    initial=INITIAL,
    rounds=[FIRST],
    seconds_total=161.4,
    seconds_to_first_token=31.0,
    peak_memory_gib=3.414,
)
