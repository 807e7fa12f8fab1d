"""Which anchors' log-probs are computed, with which weights, and which the sampler's own serve for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.learner_contract import Frozen, LogProbsRequest
from actors.serving import Serving
from actors.system import System
from loop.composition import compose
from loop.lessons import lesson_of
from loop.records import Example, PolicyVersion, ShardRef
from loop.shards import write_shard
from tests.loop.factories import list_example, pair_example

HISTORY = [PolicyVersion(0, 0), PolicyVersion(1, 9), PolicyVersion(2, 20)]


class Learners:
    """Two ranks that write nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[str], LogProbsRequest]] = []

    def log_probs(self, responses: object, ids: Sequence[str], request: LogProbsRequest) -> list[ShardRef]:
        self.asked.append((ids, request))
        return [ShardRef(request.table, request.round, request.shard + rank, "", 0, "", {}) for rank in (0, 1)]


def asked(folder: Path, recipe: str, round: int, sampler_serves: bool) -> list[tuple[str, str, str | None, list[str]]]:
    """What the learners of a run are asked for: anchor, policy, folder of its weights, responses."""
    config = compose(["experiment=demo", f"algorithm.anchors={recipe}", "algorithm.data.name=accumulate"])
    config.model.path = "model"
    pool = SimpleNamespace(test=[SimpleNamespace(tokens_T=[1, 2])])
    (folder / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)
    task: Any = SimpleNamespace(
        config=config,
        store=str(folder),
        identity="i",
        pool=pool,
        model_digest="digest of r0-s0",
        checkpoint=lambda round: folder / "checkpoints" / str(round),
    )
    system, learners = System(task, lambda _: None, lambda _: None), Learners()
    nothing: Any = None
    system._learners = learners  # type: ignore[assignment]
    system._serving = Serving(task, nothing, nothing)
    system._serving.gap = 0.0 if sampler_serves else 1.0
    system._serving.served = system._serving.present = HISTORY[round - 1]
    examples = [pair_example("x", f"b{round}", f"a{round}", round=round), list_example("l", [f"c{round}"], [1.0])]
    examples = [in_round(one, round) for one in examples]
    shards = {("examples", round): [write_shard(str(folder), "examples", round, 0, examples, Example)]}
    if round > 1:
        shards["examples", 1] = [write_shard(str(folder), "examples", 1, 0, [pair_example("old", "o1", "o2")], Example)]
    digests = {str(version): f"digest of {version}" for version in HISTORY}
    lesson = lesson_of(config.algorithm, round, lambda *of: shards.get(of, []), HISTORY[:round], digests, "i")
    made = list(system.anchor(lesson))
    assert [ref.shard for ref in made] == list(range(2 * len(learners.asked))), "one table, no number twice"
    assert all(one.weights == digests[one.policy] for _, one in learners.asked)
    return [(one.anchor, one.policy, place(one.frozen, folder), list(ids)) for ids, one in learners.asked]


def place(frozen: Frozen | None, folder: Path) -> str | None:
    return frozen and frozen.path.removeprefix(f"{folder}/")


def in_round(example: Example, round: int) -> Example:
    return replace(example, round=round)


NEW, OLD = ["a3", "b3", "c3"], ["o1", "o2"]


@pytest.mark.parametrize(
    ("recipe", "serves", "computed"),
    [
        ("[]", False, []),
        ("[previous]", True, [("previous", "r2-s20", None, OLD)]),
        ("[previous]", False, [("previous", "r2-s20", None, NEW + OLD)]),
        (
            "[initial,previous]",
            True,
            [("initial", "r0-s0", "model", NEW + OLD), ("previous", "r2-s20", None, OLD)],
        ),
        ("[{name: magnet, reset_every: 2}]", True, [("magnet", "r2-s20", None, OLD)]),
        ("[{name: magnet, reset_every: 3}]", True, [("magnet", "r0-s0", "model", NEW + OLD)]),
        (
            "[{name: mixture, weight: 0.25}]",
            True,
            [("mixture", "r2-s20", None, OLD), ("mixture", "r0-s0", "model", NEW + OLD)],
        ),
    ],
)
def test_in_a_later_round_what_the_sampler_does_not_serve_is_computed(
    tmp_path: Path, recipe: str, serves: bool, computed: list[tuple[str, str, str | None, list[str]]]
) -> None:
    assert asked(tmp_path, recipe, 3, serves) == computed


def test_in_the_first_round_every_anchor_is_the_sampler(tmp_path: Path) -> None:
    assert asked(tmp_path, "[initial,previous]", 1, True) == []
    new = ["a1", "b1", "c1"]
    assert asked(tmp_path, "[initial]", 1, False) == [("initial", "r0-s0", None, new)]


def test_a_policy_between_comes_from_its_exported_checkpoint(tmp_path: Path) -> None:
    found = asked(tmp_path, "[{name: random_past}]", 3, True)
    ((_, policy, path, _),) = found
    assert path == {"r0-s0": "model", "r1-s9": "checkpoints/1", "r2-s20": None}[policy]
