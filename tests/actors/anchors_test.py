"""Which anchors' log-probs are computed, and which the sampler's own serve for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from actors.learner_contract import LogProbsRequest
from actors.system import System
from loop.composition import compose
from loop.config import Anchor
from loop.records import Example, PolicyVersion, ShardRef
from loop.shards import write_shard
from tests.loop.factories import list_example, pair_example


class Learners:
    """Two ranks that write nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[str], LogProbsRequest]] = []

    def log_probs(self, responses: object, ids: Sequence[str], request: LogProbsRequest) -> list[ShardRef]:
        self.asked.append((ids, request))
        return [ShardRef(request.table, request.round, request.shard + rank, "", 0, "", {}) for rank in (0, 1)]


def asked(folder: Path, anchors: Sequence[Anchor], round: int, sampler_serves: bool) -> Learners:
    """What the learners of a run are asked for; its policy is r1-s9."""
    config = compose(["experiment=demo"])
    config.algorithm.anchors = list(anchors)
    task = SimpleNamespace(config=config, store=str(folder))
    system, learners = System(task, lambda _: None, lambda _: None), Learners()  # type: ignore[arg-type]
    system._sampler_serves, system._version = sampler_serves, PolicyVersion(1, 9)
    system._learners = learners  # type: ignore[assignment]
    examples = [pair_example("x", "b", "a"), list_example("l", ["c", "a"], [1.0, 0.0])]
    refs = [write_shard(str(folder), "examples", round, 0, examples, Example)]
    shards = list(system.anchor(round, refs, []))
    assert [ref.shard for ref in shards] == list(range(2 * len(learners.asked))), "one table, no number twice"
    return learners


BOTH = (Anchor.initial, Anchor.previous)


@pytest.mark.parametrize(
    ("anchors", "round", "serves", "computed"),
    [
        ((), 2, False, []),
        ((Anchor.previous,), 2, True, []),
        ((Anchor.previous,), 2, False, [("previous", "r1-s9", False)]),
        (BOTH, 1, True, []),
        (BOTH, 1, False, [("initial", "r1-s9", False), ("previous", "r1-s9", False)]),
        (BOTH, 2, True, [("initial", "r0-s0", True)]),
        (BOTH, 2, False, [("initial", "r0-s0", True), ("previous", "r1-s9", False)]),
        (BOTH[::-1], 2, False, [("previous", "r1-s9", False), ("initial", "r0-s0", True)]),
    ],
)
def test_what_the_sampler_does_not_serve_is_computed(
    tmp_path: Path,
    anchors: Sequence[Anchor],
    round: int,
    serves: bool,
    computed: list[tuple[str, str, bool]],
) -> None:
    found = asked(tmp_path, anchors, round, serves).asked
    assert [(one.anchor, one.policy, one.frozen_path is not None) for _, one in found] == computed
    assert all(ids == ["a", "b", "c"] for ids, _ in found)
