"""What a learn phase learns from: the round's examples, those that come back, and what serves as anchors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from loop.anchors import resolve, still_needed
from loop.config import AlgorithmConfig
from loop.fleets import Lesson
from loop.recipe import anchors_of, data_of
from loop.records import Example, PolicyVersion, ShardRef, seed_of
from loop.replay import replayed
from loop.shards import read_shards

Shards = Callable[[str, int], list[ShardRef]]
"""The shards of a table in a round."""


def replays(recipe: AlgorithmConfig) -> bool:
    """Whether examples of earlier rounds come back."""
    first, _ = data_of(recipe)
    return first > 0


def lesson_of(
    recipe: AlgorithmConfig,
    round: int,
    shards: Shards,
    history: Sequence[PolicyVersion],
    digests: Mapping[str, str],
    identity: str,
) -> Lesson:
    """The lesson of a round. `history[i]` is the version with which round i + 1 began; `digests` are those of the
    versions' tensors. Rounds that gave no examples, or of which nothing comes back, add no shards."""
    rounds = [round]
    if replays(recipe):
        rounds = [*(earlier for earlier in range(1, round) if shards("examples", earlier)), round]
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
    )


def examples_of(lesson: Lesson, recipe: AlgorithmConfig, identity: str) -> list[Example]:
    """The examples of a lesson: the round's own, then those that come back, the oldest round's first."""
    rows = read_shards(lesson.examples, Example)
    own = [example for example in rows if example.round == lesson.round]
    if len(own) == len(rows):
        return own
    earlier = {example.example_id: example for example in rows if example.round != lesson.round}
    ids: dict[int, list[str]] = defaultdict(list)
    for example in earlier.values():
        ids[example.round].append(example.example_id)
    first, decay = data_of(recipe)
    again = replayed(lesson.round, ids, first, decay, seed_of(identity, "replay"))
    return [*own, *(earlier[example_id] for example_id in again)]


def rounds_needed(recipe: AlgorithmConfig, round: int, history: Sequence[PolicyVersion]) -> set[int]:
    """The rounds whose exported policies an anchor may ask for in this round or a later one."""
    needed = {
        version for kind, options in anchors_of(recipe) for version in still_needed(kind, round, history, options)
    }
    return {version.round for version in needed if version.round}
