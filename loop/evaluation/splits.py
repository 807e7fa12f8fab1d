"""The held-out prompts by their use, and the tables that hold what is measured on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loop.cadence import evaluates_in, gates_in
from loop.config import RunConfig
from loop.prompts.pool import PromptPool
from loop.records import Prompt

ScoreTable = Literal["evaluation_judgements", "gate_judgements", "retention_judgements"]
ContestTable = Literal["evaluation_comparisons", "gate_comparisons", "retention_comparisons"]


@dataclass(frozen=True, slots=True)
class Split:
    """Prompts of one use: the table of answers to them, that of their scores, and that of comparisons with other
    policies' answers, for a judge that does not score."""

    name: Literal["test", "gate", "retention"]
    answers: str
    scores: ScoreTable
    contests: ContestTable

    def prompts(self, pool: PromptPool) -> list[Prompt]:
        """Its prompts."""
        return {"test": pool.test, "gate": pool.gate, "retention": pool.retention}[self.name]


TEST = Split("test", "evaluation_responses", "evaluation_judgements", "evaluation_comparisons")
"""For reported figures: no decision sees them."""
GATE = Split("gate", "gate_responses", "gate_judgements", "gate_comparisons")
"""For the gate's decisions, of which nothing is reported but what follows from them."""
RETENTION = Split("retention", "retention_responses", "retention_judgements", "retention_comparisons")
"""For what the policy could do before."""

SPLITS = (TEST, GATE, RETENTION)
EXAMINED: frozenset[str] = frozenset(table for split in SPLITS for table in (split.scores, split.contests))
"""The tables in which the judge of evaluation answers."""


def splits_in(config: RunConfig, number: int) -> list[Split]:
    """On which prompts the policy is measured at the end of a round."""
    measured = evaluates_in(config, number)
    return [
        *([TEST] if measured else []),
        *([GATE] if gates_in(config, number) else []),
        *([RETENTION] if measured and config.prompts.retention else []),
    ]
