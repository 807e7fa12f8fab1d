"""What a run is, before anything is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loop.config import RunConfig
from loop.judging import questions_per_group
from loop.prompts.pool import PromptPool
from loop.shards import shard_file


@dataclass(frozen=True, slots=True)
class Task:
    """A configuration with its identity, folder and prompts."""

    config: RunConfig
    identity: str
    folder: Path
    pool: PromptPool

    @property
    def store(self) -> Path:
        """The folder of the ledger's tables."""
        return self.folder / "ledger"

    @property
    def prompts_path(self) -> str:
        """The shard file that holds all prompts of the run."""
        return str(shard_file(self.store, "prompts", 0, 0))

    @property
    def questions(self) -> int:
        """How many questions a round asks its judge."""
        return self.config.prompts.per_round * questions_per_group(self.config.algorithm.plan, self.config.algorithm.k)

    def checkpoint(self, round: int) -> Path:
        """Where a round's policy is exported to."""
        return self.folder / "checkpoints" / f"round-{round:03d}"
