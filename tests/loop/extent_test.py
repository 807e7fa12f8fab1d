"""The phases that a round has, by its recipe."""

from __future__ import annotations

from loop.extent import PlannedPhase, planned_phases
from tests.loop.stub_fleets import composed


def before_judging(*overrides: str) -> list[PlannedPhase]:
    """The phases until the groups are whole, of a round of two shards."""
    planned = planned_phases(composed("rollout.shard_prompts=1", *overrides), 1, 3)
    return planned[: [one.phase for one in planned].index("generate")]


def test_drafts_are_phases_where_a_recipe_has_them() -> None:
    assert before_judging() == []
    assert before_judging("algorithm.others=[{column: teacher, as: teacher}]") == []
    assert before_judging("algorithm.others=[{policy: mixture, as: opponent}, {policy: initial, as: opponent}]") == [
        PlannedPhase("draft", "drafts", 4),
        PlannedPhase("weigh", "draft_anchors"),
    ]
    assert before_judging("algorithm.sampler={name: refinement, depth: 3}") == [
        PlannedPhase("draft", "drafts", 6),
        PlannedPhase("judge drafts", "draft_judgements", 6),
    ]


def test_a_round_that_looks_ahead_is_not_evaluated() -> None:
    config = composed("algorithm.look_ahead=true")
    first, second = ({one.phase for one in planned_phases(config, number, 3)} for number in (1, 2))
    assert second - first == {"evaluate", "score", "kl"}
