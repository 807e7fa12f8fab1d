"""What a learn phase learns from: the round's examples, those that come back, and what serves as anchors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from loop.anchors import resolve, still_needed
from loop.cadence import looks_ahead
from loop.config import AlgorithmConfig
from loop.fleets import Lesson
from loop.gate.standing import Standing
from loop.pairing import keep_largest
from loop.recipe import anchors_of, data_of, sources_of
from loop.records import INITIAL, Example, PolicyVersion, ShardRef, seed_of
from loop.replay import replayed
from loop.shards import read_shards

Shards = Callable[[str, int], list[ShardRef]]
"""The shards of a table in a round."""


class Gated(NamedTuple):
    """Where a run with a gate stands when a round begins, and by what a rejection multiplies the learning rate."""

    standing: Standing
    shrink: float


def replays(recipe: AlgorithmConfig) -> bool:
    """Whether examples of earlier rounds come back."""
    first, _ = data_of(recipe)
    return first > 0


def beginnings(recipe: AlgorithmConfig, ended: Sequence[PolicyVersion]) -> list[PolicyVersion]:
    """The version with which each round began, that of the next one included, from those with which rounds ended: a
    round begins where the one before it ended, or began, if that one only looked ahead."""
    began = [INITIAL]
    for round, version in enumerate(ended, start=1):
        began.append(began[-1] if looks_ahead(recipe, round) else version)
    return began


def lesson_of(
    recipe: AlgorithmConfig,
    round: int,
    shards: Shards,
    history: Sequence[PolicyVersion],
    digests: Mapping[str, str],
    identity: str,
    gate: Gated | None = None,
) -> Lesson:
    """The lesson of a round. `history[i]` is the version with which round i + 1 began; `digests` are those of the
    versions' tensors. Rounds that gave no examples, or of which nothing comes back, add no shards; nor do those whose
    answers a version gave that the gate rejected."""
    first, decay = data_of(recipe)
    back = [earlier for earlier in range(1, round) if first * decay ** (round - earlier - 1) > 0]
    back = [earlier for earlier in back if gate is None or history[earlier - 1] not in gate.standing.discarded]
    rounds = [*(earlier for earlier in back if shards("examples", earlier)), round]
    seed = seed_of(identity, "anchors")
    serving = tuple(resolve(kind, round, history, options, seed) for kind, options in anchors_of(recipe))
    return Lesson(
        round,
        examples=[ref for one in rounds for ref in shards("examples", one)],
        responses=[ref for one in rounds for ref in shards("responses", one)],
        anchors=shards("anchors", round),
        serving=serving,
        weights={label: digests[label] for one in serving for label in one.labels},
        known=[ref for one in rounds[:-1] for ref in shards("anchors", one)],
        policy=history[round - 1],
        start=history[round - 1].round if recipe.look_ahead or gate is not None else None,
        incumbent=gate.standing.incumbent.round if gate is not None else None,
        lr_factor=gate.shrink**gate.standing.rejections if gate is not None else 1.0,
    )


def examples_of(lesson: Lesson, recipe: AlgorithmConfig, identity: str) -> list[Example]:
    """The examples of a lesson: the round's own, then those that come back, the oldest round's first. Of every round
    `keep` may leave only those with the largest margins."""
    rows: dict[int, list[Example]] = defaultdict(list)
    for example in read_shards(lesson.examples, Example):
        rows[example.round].append(example)
    kept = {round: keep_largest(examples, recipe.keep) for round, examples in rows.items()}
    own, by_id = kept.pop(lesson.round, []), {one.example_id: one for earlier in kept.values() for one in earlier}
    ids = {round: [example.example_id for example in examples] for round, examples in kept.items()}
    first, decay = data_of(recipe)
    again = replayed(lesson.round, ids, first, decay, seed_of(identity, "replay"))
    return [*own, *(by_id[example_id] for example_id in again)]


def rounds_needed(recipe: AlgorithmConfig, round: int, history: Sequence[PolicyVersion]) -> set[int]:
    """The rounds whose exported policies an anchor, or a sampler of others, may ask for in this round or a later one.
    With `look_ahead` that is also the one with which the round begins: learners and engines stand elsewhere."""
    kinds = [*anchors_of(recipe), *(source.anchor for source in sources_of(recipe) if source.policy)]
    needed = {version for kind, options in kinds for version in still_needed(kind, round, history, options)}
    needed |= {history[round - 1]} if recipe.look_ahead else set()
    return {version.round for version in needed if version.round}
