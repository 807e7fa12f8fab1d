"""The held-out prompts by their use, and the tables that hold what is measured on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loop.cadence import evaluates_in, gates_in
from loop.config import RunConfig
from loop.prompts.pool import PromptPool
from loop.records import Prompt

ScoreTable = Literal["evaluation_judgements", "gate_judgements", "incumbent_judgements", "retention_judgements"]
ContestTable = Literal["evaluation_comparisons", "gate_comparisons", "retention_comparisons"]


@dataclass(frozen=True, slots=True)
class Split:
    """Prompts of one use: the phases in which they are answered and the answers scored, the table of answers to them,
    that of their scores, and that of comparisons with other policies' answers, for a judge that does not score."""

    name: Literal["test", "gate", "retention"]
    answering: str
    scoring: str
    answers: str
    scores: ScoreTable
    contests: ContestTable
    purpose: Literal["evaluate", "defend"] = "evaluate"

    def prompts(self, pool: PromptPool) -> list[Prompt]:
        """Its prompts."""
        return {"test": pool.test, "gate": pool.gate, "retention": pool.retention}[self.name]


TEST = Split("test", "evaluate", "score", "evaluation_responses", "evaluation_judgements", "evaluation_comparisons")
"""For reported figures: no decision sees them."""
GATE = Split("gate", "gate", "gate score", "gate_responses", "gate_judgements", "gate_comparisons")
"""For the gate's decisions, of which nothing is reported but what follows from them."""
DEFENCE = Split(
    "gate", "defend", "defend score", "incumbent_responses", "incumbent_judgements", "gate_comparisons", "defend"
)
"""The gate's prompts once more, for a policy that was promoted. The answers with which it got there are luckier than it
is, and a policy that is as good would lose against them: in a chain of equal ones 58 % were promoted after eight gates
instead of 78 % (simulated). So later candidates meet new answers."""
RETENTION = Split(
    "retention", "retention", "retention score", "retention_responses", "retention_judgements", "retention_comparisons"
)
"""For what the policy could do before."""

SPLITS = (TEST, GATE, RETENTION)
EXAMINED: frozenset[str] = frozenset(table for one in (*SPLITS, DEFENCE) for table in (one.scores, one.contests))
"""The tables in which the judge of evaluation answers."""


def splits_in(config: RunConfig, number: int) -> list[Split]:
    """On which prompts the policy is measured at the end of a round."""
    measured = evaluates_in(config, number)
    return [
        *([TEST] if measured else []),
        *([GATE] if gates_in(config, number) else []),
        *([RETENTION] if measured and config.prompts.retention else []),
    ]
