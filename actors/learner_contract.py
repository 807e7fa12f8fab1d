"""What goes to a learner rank. Importable without DeepSpeed, for the driver's sake."""

from __future__ import annotations

from dataclasses import dataclass

from loop.config import AlgorithmConfig, CheckpointConfig, LearnerConfig, ModelConfig
from loop.records import ShardRef


@dataclass(frozen=True, slots=True)
class LearnerSettings:
    """The parts of a run's configuration that a rank needs, its identity, and the folder of the learners' checkpoints
    on a file system that all ranks share."""

    model: ModelConfig
    learner: LearnerConfig
    algorithm: AlgorithmConfig
    checkpoint: CheckpointConfig
    checkpoints: str
    identity: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """Where the weights of a frozen policy lie: a Hugging Face model, loaded for one call only."""

    path: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class LogProbsRequest:
    """Log-probs of responses under one frozen policy, written as `AnchorLogProbs` rows.

    `store` is the root of the shard files; rank r writes shard `shard + r` of `table`. `policy` labels the weights
    that are used, `weights` is their digest: the learner's present ones, or those of `frozen`. What the shards `known`
    hold already is not computed again; with `own`, neither is what came with a response from that policy.
    """

    store: str
    table: str
    round: int
    shard: int
    anchor: str
    policy: str
    weights: str
    frozen: Frozen | None = None
    known: tuple[ShardRef, ...] = ()
    own: bool = False
