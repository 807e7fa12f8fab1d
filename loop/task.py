"""What a run is, before anything is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loop.config import RunConfig
from loop.exports import export_folder
from loop.prompts.pool import PromptPool
from loop.recipe import questions_of


def store_of(folder: Path, store: str | None) -> str:
    """Where a run's tables lie: below its folder, or below another folder or URL under the run's name."""
    return str(folder / "ledger") if store is None else f"{store.rstrip('/')}/{folder.name}"


@dataclass(frozen=True, slots=True)
class Task:
    """A configuration with its identity, folder and prompts.

    `model_digest` is that of the initial policy's files, `parent` the version of another run that it is, as
    IDENTITY@VERSION; `prompts_path` the shard file that holds all prompts, once the ledger has it.
    """

    config: RunConfig
    identity: str
    folder: Path
    pool: PromptPool
    model_digest: str
    parent: str | None = None
    prompts_path: str = ""

    @property
    def store(self) -> str:
        """The folder or URL of the ledger's tables."""
        return store_of(self.folder, self.config.ledger.store)

    @property
    def learner_checkpoints(self) -> Path:
        """The folder of the learners' resumable state."""
        return self.folder / "learner"

    @property
    def questions(self) -> int:
        """How many questions a round asks its judge, at most."""
        return self.config.prompts.per_round * questions_of(self.config.algorithm)

    def checkpoint(self, round: int) -> Path:
        """Where a round's policy is exported to."""
        return export_folder(self.folder, round)
