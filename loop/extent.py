"""How far the phases of a round are, as a pure function of what is committed and what the driver says it is doing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from loop.cadence import diagnoses_in, is_due
from loop.config import AlgorithmConfig, RunConfig
from loop.evaluation.splits import TEST, splits_in
from loop.judges.capabilities import capabilities_of, examiner_of
from loop.recipe import learns_to_judge, sampler_of, sources_of
from loop.requests import is_plain, stages

Extent = Literal["complete", "under way", "not begun"]


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    """A phase that a round has: the table that it writes, and in how many shards, where that is known beforehand; these
    are numbered from `first`."""

    phase: str
    table: str | None = None
    of: int | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class PhaseState:
    """How far a phase is: committed rows and shards, and how many shards there will be, where that is known."""

    phase: str
    state: Extent
    rows: int = 0
    shards: tuple[int, ...] = ()
    of: int | None = None


def planned_phases(config: RunConfig, number: int, held_out: Mapping[str, int] | None) -> list[PlannedPhase]:
    """The phases of a round in their order; `held_out` counts the prompts of each split, None while nobody knows."""
    slices = _slices(config.prompts.per_round, config)
    evaluation = list(_evaluation(config, number, held_out))
    diagnosis = [PlannedPhase("diagnose")] if diagnoses_in(config, number) else []
    if number == 0:
        return [*evaluation, PlannedPhase("probe"), *diagnosis]
    return [
        *_drafting(config.algorithm, slices),
        PlannedPhase("generate", "responses", slices),
        PlannedPhase("judge", "judgements", slices),
        PlannedPhase("pair", "examples", slices),
        *(_of_judgements(slices) if learns_to_judge(config.algorithm, number) else []),
        PlannedPhase("anchor", "anchors"),
        PlannedPhase("learn"),
        PlannedPhase("push"),
        *evaluation,
        *diagnosis,
        *([PlannedPhase("export")] if is_due(config.export.every, number, config.rounds) else []),
    ]


def _evaluation(config: RunConfig, number: int, held_out: Mapping[str, int] | None) -> Iterator[PlannedPhase]:
    scores = capabilities_of(examiner_of(config)).pointwise
    for split in splits_in(config, number):
        known = None if held_out is None else held_out.get(split.name)
        of = None if known is None else _slices(known, config)
        yield PlannedPhase(split.answering, split.answers, of)
        if scores:
            yield PlannedPhase(split.scoring, split.scores, of)
        elif number:
            yield PlannedPhase(split.scoring, split.contests)
        if split is TEST and number and is_plain(config.rollout):
            yield PlannedPhase("kl", "evaluation_anchors")


def _drafting(recipe: AlgorithmConfig, slices: int) -> list[PlannedPhase]:
    """The phases before a group's last step, where a recipe has any."""
    strategy, options, _ = sampler_of(recipe)
    judged = slices * (strategy.steps(options) - 1)
    mixed = any(source.policy == "mixture" for source in sources_of(recipe))
    return [
        *([PlannedPhase("draft", "drafts", slices * stages(recipe))] if stages(recipe) else []),
        *([PlannedPhase("weigh", "draft_anchors")] if mixed else []),
        *([PlannedPhase("judge drafts", "draft_judgements", judged)] if judged else []),
    ]


def _of_judgements(slices: int) -> list[PlannedPhase]:
    """The phases that make pairs of judgements, whose shards come behind the round's others."""
    steps = {"take judgements": "responses", "meta-judge": "judgements", "pair judgements": "examples"}
    return [PlannedPhase(phase, table, slices, slices) for phase, table in steps.items()]


def _slices(prompts: int, config: RunConfig) -> int:
    return math.ceil(prompts / config.rollout.shard_prompts)


def extents(
    planned: Sequence[PlannedPhase],
    committed: Mapping[str, Mapping[int, int]],
    under_way: Collection[str],
    done: Collection[str],
) -> list[PhaseState]:
    """Each phase's state.

    Args:
        committed: by table, the rows of each committed shard of the round.
        under_way: the phases that a living driver is at.
        done: phases without a table of which it is known that they are complete.
    """
    states: list[PhaseState] = []
    passed = False  # whether a later phase has begun, so that one of unknown size is complete
    for one in reversed(planned):
        numbers = committed.get(one.table or "", {})
        shards = {n: rows for n, rows in numbers.items() if one.of is None or 0 <= n - one.first < one.of}
        begun = bool(shards) or one.phase in under_way or one.phase in done
        ended = one.phase not in under_way and (passed or begun)
        complete = ended if one.of is None else len(shards) >= one.of
        state: Extent = "complete" if complete else "under way" if begun else "not begun"
        states.append(PhaseState(one.phase, state, sum(shards.values()), tuple(sorted(shards)), one.of))
        passed = passed or begun
    return states[::-1]
