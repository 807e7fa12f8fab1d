"""How much disk a run will need, and whether there is as much: asked before anything is started."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loop.cadence import checkpoint_every
from loop.config import AlgorithmConfig, RunConfig
from loop.config_types import DType
from loop.errors import Refused
from loop.evaluation.splits import SPLITS, splits_in
from loop.model_folder import BYTES
from loop.recipe import anchors_of, group_size, questions_of, sampler_of, sources_of
from loop.task import Task

GB = 1e9

MOMENTS = 8
"""Bytes per parameter of AdamW's two moments, in float32."""

MASTER = 4
"""Bytes per parameter of the float32 copy that an optimiser keeps of weights in a shorter format."""

PER_TOKEN = 10.0
"""Bytes of a response's row per token: id, log-prob, mask and text, compressed (measured: 9.3 to 9.9)."""
PER_RESPONSE = 200
"""Bytes of a response's row besides its tokens."""
PER_ANCHOR_TOKEN = 6.0
"""Bytes of an anchor's log-prob (measured: 5.8)."""
PER_JUDGEMENT = 220
"""Bytes of a judgement whose reply has some fifty words (measured: 217; with a bare score: 72)."""
PER_PROMPT_TOKEN = 8.0
PER_PROMPT = 200

COPIES = 2
"""Times that a row is on disk: small files of closed rounds are merged, and stay beside the merged one for a day."""

TELLING = 0.1
"""A purpose with a smaller share of the need is not worth lowering."""


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """Bytes that a run's folder holds at its fullest, by purpose; `keys` are those that lower each, as configured."""

    exports: int
    checkpoints: int
    rows: int
    keys: Mapping[str, str]

    def of(self, purpose: str) -> int:
        """Bytes of one purpose."""
        return {"exports": self.exports, "checkpoints": self.checkpoints, "rows": self.rows}[purpose]


PURPOSES = {
    "exports": ("exported policies", "checkpoints"),
    "checkpoints": ("learner checkpoints", "learner"),
    "rows": ("rows", "ledger"),
}
"""Each purpose in words, and its folder below the run's."""


def need(
    config: RunConfig, weight_bytes: int, prompts: int, prompt_tokens: float, held_out: Mapping[str, int]
) -> DiskNeed:
    """What a run will need at most. Answers are taken to be as long as `rollout.max_tokens` allows.

    Args:
        weight_bytes: of the model in its number format.
        prompts: in the pool, held-out ones included; `prompt_tokens` is their mean length.
        held_out: prompts of each split of the held-out ones, by its name.
    """
    elsewhere = config.ledger.store is not None
    return DiskNeed(
        exports=weight_bytes * _exports(config),
        checkpoints=_state_bytes(weight_bytes, config.model.dtype) * _checkpoints(config),
        rows=0 if elsewhere else _row_bytes(config, prompts, prompt_tokens, held_out),
        keys={
            "exports": f"export.keep={config.export.keep}",
            "checkpoints": f"checkpoint.keep={config.checkpoint.keep}",
            "rows": f"rollout.max_tokens={config.rollout.max_tokens} or rounds={config.rounds}",
        },
    )


def need_of(task: Task, weight_bytes: int) -> DiskNeed:
    """What a task will need; see `need`."""
    prompts = task.pool.everything
    tokens = sum(len(prompt.tokens_T) for prompt in prompts) / len(prompts)
    held_out = {str(split.name): len(split.prompts(task.pool)) for split in SPLITS}
    return need(task.config, weight_bytes, len(prompts), tokens, held_out)


def require_room(folder: Path, need: DiskNeed) -> None:
    """Refuse a run for which the disk has no room. What its folder holds already counts as there.

    Raises:
        Refused: less is free than is still to come.
    """
    coming = {name: max(0, need.of(name) - bytes_below(folder / place)) for name, (_, place) in PURPOSES.items()}
    free = shutil.disk_usage(_existing(folder)).free
    total = sum(coming.values())
    if total <= free:
        return
    parts = ", ".join(f"{_gb(size)} for {PURPOSES[name][0]}" for name, size in coming.items() if size)
    keys = ", ".join(need.keys[name] for name, size in coming.items() if size >= TELLING * total)
    raise Refused(
        f"{folder} will need {_gb(total)} of disk ({parts}), and {_gb(free)} are free: lower {keys}, or put the run "
        "on another disk (runs=FOLDER)"
    )


def _exports(config: RunConfig) -> int:
    """Policies at the same time: the newest, the best one, a magnet's, the one with which a round that looks ahead
    began, and one that is being written; all of them where the anchor may be any."""
    recipe, made = config.algorithm, math.ceil(config.rounds / config.export.every)
    kinds = {*(kind for kind, _ in anchors_of(recipe)), *(source.policy for source in sources_of(recipe))}
    if config.export.keep == 0 or "random_past" in kinds:
        return made
    return min(made, config.export.keep + 2 + ("magnet" in kinds) + recipe.look_ahead + config.gate.enabled)


def _checkpoints(config: RunConfig) -> int:
    """Learner checkpoints at the same time: the newest ends of rounds, one inside a round, and one being written."""
    made, keep = math.ceil(config.rounds / checkpoint_every(config)), config.checkpoint.keep
    begun = config.algorithm.look_ahead + config.gate.enabled  # and those at which a look-ahead began, the incumbent's
    return (made if keep == 0 else min(made, keep + 1 + begun)) + (config.checkpoint.steps > 0)


def _state_bytes(weight_bytes: int, dtype: DType) -> int:
    """A learner checkpoint: weights, moments, and the float32 copy of shorter weights."""
    parameters = weight_bytes // BYTES[dtype]
    return weight_bytes + parameters * (MOMENTS + (0 if dtype is DType.float32 else MASTER))


def _row_bytes(config: RunConfig, prompts: int, prompt_tokens: float, held_out: Mapping[str, int]) -> int:
    """All tables of all rounds."""
    recipe, drawn, length = config.algorithm, config.prompts.per_round, config.rollout.max_tokens
    row = PER_RESPONSE + length * (PER_TOKEN + PER_ANCHOR_TOKEN)
    drafts, judged = drafts_of(recipe)
    answers, asked = group_size(recipe) + drafts, questions_of(recipe) + judged
    round = drawn * (answers * row + prompt_tokens * PER_PROMPT_TOKEN + asked * PER_JUDGEMENT)
    each = config.evaluate.samples * (row + prompt_tokens * PER_PROMPT_TOKEN + PER_JUDGEMENT)
    measured = [split.name for number in range(config.rounds + 1) for split in splits_in(config, number)]
    evaluation = each * sum(held_out[name] for name in measured)
    pool = prompts * (PER_PROMPT + prompt_tokens * PER_PROMPT_TOKEN)
    return math.ceil(COPIES * (config.rounds * round + evaluation) + pool)


def drafts_of(recipe: AlgorithmConfig) -> tuple[int, int]:
    """How many drafts of a group there are at most before the step that completes it, and of how many of them the judge
    is asked."""
    strategy, options, _ = sampler_of(recipe)
    own = strategy.most(options, recipe.k) if strategy.steps(options) > 1 else 0
    sampled = [source for source in sources_of(recipe) if source.policy]
    return own + sum(source.draws if source.policy == "mixture" else source.k for source in sampled), own


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.lstat().st_size
    return total


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 1e6:.1f} MB"
