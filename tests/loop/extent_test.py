"""The phases that a round has, by its recipe."""

from __future__ import annotations

from loop.extent import PlannedPhase, planned_phases
from tests.loop.stub_fleets import composed


def before_judging(*overrides: str) -> list[PlannedPhase]:
    """The phases until the groups are whole, of a round of two shards."""
    planned = planned_phases(composed("rollout.shard_prompts=1", *overrides), 1, {"test": 3})
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
    first, second = ({one.phase for one in planned_phases(config, number, {"test": 3})} for number in (1, 2))
    assert second - first == {"evaluate", "score", "kl"}


def test_the_gates_prompts_are_phases_where_it_is_asked() -> None:
    held_out = {"test": 3, "gate": 5, "retention": 0}
    config = composed("gate=tolerant", "gate.every=2", "rollout.shard_prompts=2")
    planned = [
        one for one in planned_phases(config, 2, held_out) if one.table and one.table.startswith(("eval", "gate"))
    ]
    assert planned == [
        PlannedPhase("evaluate", "evaluation_responses", 2),
        PlannedPhase("score", "evaluation_judgements", 2),
        PlannedPhase("kl", "evaluation_anchors"),
        PlannedPhase("gate", "gate_responses", 3),
        PlannedPhase("gate score", "gate_judgements", 3),
    ]
    assert "gate_responses" not in [one.table for one in planned_phases(composed("gate=off"), 2, held_out)]
