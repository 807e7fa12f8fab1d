"""The configuration: types and defaults in one place. Hydra composes `conf/` onto these dataclasses, so unknown keys
and wrong types are refused by composition itself; `loop.validation` refuses what types cannot say.

Longer than other files so that every key, its default and its meaning stand in one place.

A field whose metadata holds `identity=False` depends on time, place or taste; it does not enter a run's identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from loop.config_types import DType, elsewhere
from loop.judge_config import JudgeConfig


class Template(Enum):
    """How a prompt becomes tokens."""

    chat = "chat"  # through the model's chat template
    none = "none"  # as it stands: base models


class Plan(Enum):
    """Which questions a group's judge is asked."""

    pointwise = "pointwise"  # every response alone
    against_baseline = "against_baseline"  # every response against the group's baseline
    all_pairs = "all_pairs"  # every two responses
    tournament = "tournament"  # winners play winners, losers losers: a winner and a loser after few comparisons
    none = "none"  # nothing: the pairs are given


class Control(Enum):
    """What a run changes so that its judge says nothing: what it gains then, no judge is to thank for."""

    none = "none"
    shuffled = "shuffled"  # every group is given the verdict of another group of its shard


class StartFrom(Enum):
    """From which weights a round's learning begins."""

    incumbent = "incumbent"  # those with which the round began
    initial = "initial"  # those with which the run began, and a new optimiser: every round learns anew


class OptimizerState(Enum):
    """What happens to the optimiser between rounds."""

    carry = "carry"
    reset = "reset"


class Schedule(Enum):
    """Shape of the learning rate after warm-up."""

    constant = "constant"
    linear = "linear"
    cosine = "cosine"


class Span(Enum):
    """What a learning-rate schedule spans."""

    per_round = "per_round"
    whole_run = "whole_run"


class TrackerKind(Enum):
    """Where metrics go besides the ledger and the summary."""

    none = "none"
    wandb = "wandb"


@dataclass
class ModelConfig:
    """The policy to improve."""

    name: str = elsewhere("")
    # for tables and model cards; empty: the path
    path: str = MISSING
    # a Hugging Face causal language model: a folder, or a name on a hub
    revision: str | None = None
    # commit or tag on the hub
    dtype: DType = DType.float32
    # number format of the learner's forward pass and of the engines

    @property
    def label(self) -> str:
        """What to call the model."""
        return self.name or self.path


@dataclass
class PromptSource:
    """One file (JSON Lines or Parquet) or one data set on a Hugging Face hub."""

    path: str = MISSING
    # `FILE.jsonl`, `FILE.parquet`, or `hf://OWNER/NAME` (with `split`)
    weight: float = 1.0
    # share of each round's prompts, relative to the other sources
    split: str = "train"
    # split of a hub data set


@dataclass
class PromptsConfig:
    """Where prompts come from and how they become tokens."""

    name: str = MISSING
    sources: list[PromptSource] = field(default_factory=list)
    # the pool that rounds draw from
    held_out: list[PromptSource] = field(default_factory=list)
    # prompts of evaluation; when empty, `held_out_size` prompts are set aside from the pool by the digest of their id
    held_out_size: int = 256
    per_round: int = 256
    # prompts drawn for one round
    template: Template = Template.chat
    system: str | None = None
    # a system message for prompts that bring none
    retention: list[PromptSource] = field(default_factory=list)
    # prompts of what the policy could do before and must not forget; they are measured, too, in rounds that are


@dataclass
class PlanConfig:
    """Which questions a group's judge is asked, and how often."""

    name: Plan = MISSING
    both_orders: bool = True
    # comparisons: each is shown in both orders, and the two are averaged
    repeats: int = 1
    # times that each question is put, averaged


@dataclass
class JudgePairsConfig:
    """Pairs of the judge's own judgements, from which the policy learns to judge (Meta-Rewarding). For a policy that is
    its own judge and writes its judgements, each question more than once (`judge=self judge.read=text`)."""

    rounds: int = 0
    # the first rounds that make such pairs
    max_tokens: int = 1024
    # of the judgement that is chosen, end token included: a pair with a longer one is dropped


@dataclass
class AlgorithmConfig:
    """A recipe: one published method."""

    name: str = MISSING
    k: int = 8
    # responses sampled per prompt
    sampler: dict[str, Any] = field(default_factory=lambda: {"name": "samples"})
    # `name`: a strategy of `loop.samplers` by which they are sampled, and its options; besides them `temperature`,
    # `top_p` and `top_k` where the recipe's are not those of `rollout`
    others: list[Any] = field(default_factory=list)
    # what else belongs to a group (`loop.samplers.sources`): `{policy: KIND, as: PURPOSE}`, samples of a frozen policy,
    # or `{column: COLUMN, as: PURPOSE}`, a text that stands in the prompts' files
    plan: PlanConfig = field(default_factory=PlanConfig)
    pairing: dict[str, Any] = field(default_factory=dict)
    # `name`: a rule of `loop.pairing`, and its options
    judge_pairs: JudgePairsConfig = field(default_factory=JudgePairsConfig)
    loss: dict[str, Any] = field(default_factory=dict)
    # `name`: a row of `loop.losses`, and its options
    anchors: list[Any] = field(default_factory=lambda: ["previous"])
    # frozen policies whose log-probs enter the loss, in the loss's order: kinds of `loop.anchors`, by name or as
    # `{name: KIND, OPTION: VALUE}`; none for a loss without one
    start_from: StartFrom = StartFrom.incumbent
    look_ahead: bool = False
    # every second round begins where the one before it began, which only looked ahead (extragradient)
    data: dict[str, Any] = field(default_factory=lambda: {"name": "this_round"})
    # `name`: this_round, accumulate, or replay (`first`: share of the round before that is learnt again, `decay`: its
    # factor for each round further back)
    optimizer: OptimizerState = OptimizerState.carry
    lr_schedule: Span = Span.whole_run
    keep: float = 1.0
    # share of a round's examples, those with the largest margins, that is learnt from
    truncated_may_win: bool = False
    # whether a response cut at the token limit may be the chosen one
    control: Control = Control.none
    # what a control run changes so that its judge says nothing
    requires: list[str] = field(default_factory=list)
    # prompt columns without which the recipe makes no sense


@dataclass
class RolloutConfig:
    """Sampling and the engines that do it."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    # 0: no limit
    min_tokens: int = 0
    max_tokens: int = 256
    # a longer answer is cut and counted as truncated
    stop: list[str] = field(default_factory=list)
    # stop strings, besides the end tokens of the model's generation configuration
    max_context: int = 2048
    # tokens of prompt and answer together; longer prompts are left out and counted
    shard_prompts: int = 64
    # prompts in one request to an engine: the slices in which a round is stored
    replicas: int = elsewhere(1)
    # engines
    max_concurrent: int = elsewhere(256)
    # sequences that an engine advances together
    kv_cache_gb: float = elsewhere(1.0)
    # memory for keys and values (CPU engines)
    gpu_memory: float = elsewhere(0.85)
    # share of the device's memory that an engine takes (GPU engines)
    prefix_caching: bool = elsewhere(True)
    eager: bool = elsewhere(True)
    # without graph capture and compilation
    start_timeout_s: float = elsewhere(600.0)
    call_timeout_s: float = elsewhere(1800.0)


@dataclass
class LearnerConfig:
    """DeepSpeed ranks and the optimiser."""

    ranks: int = elsewhere(2)
    zero_stage: int = 2
    lr: float = 5.0e-7
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    eps: float = 1.0e-8
    weight_decay: float = 0.0
    schedule: Schedule = Schedule.cosine
    warmup: float = 0.03
    # share of the schedule's steps
    epochs: int = 1
    batch_examples: int = 64
    # examples in one optimiser step, over all ranks and micro-batches
    micro_batch_tokens: int = elsewhere(8192)
    # padded tokens that one rank passes through the model together
    max_grad_norm: float = 1.0
    logprob_chunk: int = elsewhere(4096)
    # positions whose logits exist at the same time
    max_bad_steps: int = 5
    # steps in a row skipped for a loss or gradient that is not finite, before the run stops
    start_timeout_s: float = elsewhere(600.0)
    collective_timeout_s: float = elsewhere(600.0)
    call_timeout_s: float = elsewhere(7200.0)


@dataclass
class PushConfig:
    """How new weights reach the engines."""

    max_store_gb: float = elsewhere(8.0)
    # larger models are refused by the object-store transport
    probe_texts: int = elsewhere(8)
    # fixed texts on which learner and engines must agree after a push
    tolerance: float = elsewhere(1.0e-3)
    # largest difference of a token's log-prob in float32; otherwise three times the gap measured at the start, if more


@dataclass
class EvaluateConfig:
    """Held-out evaluation."""

    every: int = 1
    # rounds
    samples: int = 1
    # answers per held-out prompt, at the rollout temperature
    gate_share: float = 0.5
    # held-out prompts set aside for the gate; reported figures come from the others
    judge: JudgeConfig | None = None
    # what judges held-out answers (`+judge@evaluate.judge=KIND`): one that learns nothing and that training does not
    # ask; none: the run's own judge where that is a verifier, else exact comparison with the reference answer
    hook: str | None = elsewhere(None)
    # a command that is run on the exported checkpoint of rounds that are measured; `{checkpoint}` in it stands for the
    # folder. If the last line that it prints is a JSON object, its numbers are kept with the round
    hook_timeout_s: float = elsewhere(3600.0)


@dataclass
class GateConfig:
    """The decision that a candidate replaces the incumbent."""

    name: str = MISSING
    enabled: bool = True
    # off: every round's policy is kept
    every: int = 1
    # rounds; the candidate is judged against the policy that was promoted last, however many rounds lie between
    tolerance: float = 0.02
    # a candidate is promoted when the lower confidence bound of its win rate is above 0.5 minus this
    confidence: float = 0.8
    # of that bound (one-sided): so often a policy with a win rate of 0.5 minus the tolerance is rejected
    shrink: float = 1.0
    # factor of the learning rate after each rejection, until a candidate is promoted
    max_rejections: int = elsewhere(3)
    # in a row, then the run stops with status 3


@dataclass
class DiagnosticsConfig:
    """What is measured of each round besides its evaluation (docs/diagnostics.md)."""

    every: int = elsewhere(1)
    # rounds; 0: never
    probe: int = elsewhere(32)
    # of a round's examples that are passed through the learner once more, with twice as many held-out answers; 0: none


@dataclass
class ExportConfig:
    """Hugging Face checkpoints."""

    every: int = elsewhere(1)
    # rounds; the last round is always exported
    keep: int = elsewhere(3)
    # newest ones kept, besides the best and the incumbent's; 0: all


@dataclass
class CheckpointConfig:
    """The learners' resumable state: weights, optimiser, schedule, position."""

    every: int = elsewhere(1)
    # rounds; after a crash, what was learnt since is learnt again from the ledger
    steps: int = elsewhere(100)
    # optimiser steps between checkpoints inside a learn phase; 0: only at its end
    keep: int = elsewhere(2)
    # newest ones kept, besides the incumbent's


@dataclass
class LedgerConfig:
    """Where committed data lie and how commits are shared."""

    store: str | None = elsewhere(None)
    # folder or URL (`s3://BUCKET/PATH`, `gs://`, `file://`) under which the run's tables lie; none: FOLDER/ledger
    min_rows: int = elsewhere(256)
    # shards wait for each other until they hold this many rows
    max_s: float = elsewhere(5.0)
    # but no longer than this


@dataclass
class FleetConfig:
    """What happens when processes die, hang or are slow."""

    max_restarts: int = elsewhere(3)
    # of one engine or judge, and of the learner group; then the run ends with status 4 and can be resumed
    straggler_s: float = elsewhere(300.0)
    # a shard that takes longer is also given to another actor; the first answer counts
    grace_s: float = elsewhere(30.0)
    # after SIGTERM or Ctrl-C: time for the learners to finish a step and write a checkpoint


@dataclass
class ClusterConfig:
    """Where Ray runs and how cores are shared."""

    name: str = elsewhere("local")
    address: str | None = elsewhere(None)
    # of a running Ray cluster; none starts one on this machine
    cpus: int | None = elsewhere(None)
    # cores to use; none: all of this machine
    gpus_per_rollout: float = elsewhere(0.0)
    gpus_per_learner: float = elsewhere(0.0)
    gpus_per_judge: float = elsewhere(0.0)
    # of a replica that hosts a model
    threads: int | None = elsewhere(None)
    # of each actor; none: its share of the cores among the actors of its phase
    object_store_gb: float = elsewhere(0.5)


@dataclass
class JudgingConfig:
    """What an experiment offers its judges: each takes what suits its kind, unless it is told otherwise. So one sweep
    over judges needs no other keys."""

    template: str = MISSING
    # how a language model is asked
    meta_template: str = MISSING
    # how it is asked to compare two judgements
    reward_model: str = ""
    pair_model: str = ""
    language_model: str = ""
    # empty: to be given as `judge.model`
    max_context: int = 2048
    # tokens of question and reply
    kv_cache_gb: float = 1.0


@dataclass
class TrackerConfig:
    """Experiment tracking."""

    kind: TrackerKind = elsewhere(TrackerKind.none)
    project: str = elsewhere("ratchet")
    entity: str | None = elsewhere(None)
    examples: int = elsewhere(32)
    # rows of the table of examples logged each round
    texts: bool = elsewhere(True)
    # whether prompts, answers and a judge's replies go there; false: numbers and ids only
    upload: bool = elsewhere(False)
    # whether exported checkpoints are uploaded; false: an artifact names the files and where they lie


@dataclass
class RunConfig:
    """One run of the loop."""

    name: str = elsewhere("run")
    # of the experiment: the first part of the run folder's name
    parent: str | None = elsewhere(None)
    # `RUN@ROUND`: start from the policy with which another run's round ended
    rounds: int = 3
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    prompts: PromptsConfig = field(default_factory=PromptsConfig)
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    judging: JudgingConfig = field(default_factory=JudgingConfig, metadata={"identity": False})
    later_judges: dict[str, JudgeConfig] = field(default_factory=dict)
    # judges that take over from a round on, each by a name of your own (`+judge@later_judges.NAME=KIND`)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    push: PushConfig = field(default_factory=PushConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig, metadata={"identity": False})
    export: ExportConfig = field(default_factory=ExportConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    ledger: LedgerConfig = field(default_factory=LedgerConfig)
    fleet: FleetConfig = field(default_factory=FleetConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    runs: str = elsewhere("runs")
    # folder in which run folders lie
    folder: str | None = elsewhere(None)
    # of this run; none: `RUNS/EXPERIMENT-ALGORITHM-JUDGE-IDENTITY`
    fresh: bool = elsewhere(False)
    # start another run beside one of the same identity
