from __future__ import annotations

from dataclasses import replace

import pytest

from loop.records import Response
from loop.search_tree import WIDTH, Node, grown
from loop.verdict import Group
from tests.loop.factories import response


def node(step: int, n: int, parent: str | None = None, logprob: float = -1.0) -> Response:
    """Child n of what a step expanded; its id is `step.n`."""
    one = response(step * WIDTH + n, id=f"{step}.{n}")
    return replace(one, purpose="node", parent=parent, tokens_T=[step, n, 7], logprobs_T=[logprob] * 3)


def numbers(one: Node) -> tuple[float, ...]:
    return one.visits, one.q, one.reward, one.future


def test_the_first_step_expands_the_root_and_visits_the_better_child() -> None:
    root = grown(Group("p", (node(0, 0), node(0, 1))), {0: 0.25, 1: 0.75}, 1)
    assert root.value == 0.5 and (root.visits, root.future) == (1, 0.0)
    assert [numbers(child) for child in root.children] == [(0, -0.25, -0.25, 0.0), (1, 0.25, 0.25, 0.0)]
    assert (root.children[0].depth, root.children[0].line) == (1, [root, root.children[0]])


def test_values_are_passed_on_from_below_by_visits() -> None:
    rows = (node(0, 0), node(0, 1), node(1, 0, "0.1"), node(1, 1, "0.1"))
    root = grown(Group("p", rows), {0: 0.25, 1: 0.75, 2: 1.0, 3: 0.25}, 2)
    worse, better = root.children
    assert [one.reward for one in better.children] == [0.25, -0.5]
    assert better.future == -0.125 and better.q == 0.25 - 0.125 and better.visits == 2
    assert worse.visits == 0 and root.visits == 2
    # weights 1 (at least) and 2
    assert root.future == pytest.approx((1 * -0.25 + 2 * 0.125) / 3)


def test_a_step_without_nodes_is_a_visit_to_a_complete_answer() -> None:
    rows = (node(0, 0), node(0, 1), node(3, 0, "0.0"), node(3, 1, "0.0"))
    root = grown(Group("p", rows), {0: 0.25, 1: 0.75, 2: 0.25, 3: 0.25}, 4)
    assert [child.visits for child in root.children] == [1, 3] and root.visits == 4
    assert grown(Group("p", rows), {}, 3).children[0].children == [], "only steps that were made"


def test_a_seldom_visited_child_gets_its_turn() -> None:
    """The bonus p * sqrt(N) / (1 + N_child) outgrows a difference of Q."""
    root = grown(Group("p", (node(0, 0), node(0, 1))), {0: 0.0, 1: 0.5}, 40)
    assert min(child.visits for child in root.children) >= 2
    unlikely = Group("p", (node(0, 0, logprob=-9.0), node(0, 1)))
    assert grown(unlikely, {0: 0.0, 1: 0.5}, 40).children[0].visits == 0


def test_a_node_without_a_score_is_worth_what_the_text_before_it_is() -> None:
    rows = (node(0, 0), node(0, 1), node(1, 0, "0.1"), node(1, 1, "0.1"), node(2, 0, "1.0"))
    root = grown(Group("p", rows), {0: 0.5, 3: 0.0, 4: 1.0}, 3)
    unscored = root.children[1]
    assert root.value == unscored.value == 0.5 and unscored.reward == 0.0
    assert unscored.children[0].value == 0.5 and unscored.children[0].children[0].reward == 0.5
    assert grown(Group("p", rows), {}, 3).value == 0.0


def test_twins_are_one_node_the_one_with_the_smaller_number() -> None:
    twin = replace(node(0, 1), tokens_T=node(0, 0).tokens_T)
    for rows in ((node(0, 0), twin, node(0, 2)), (node(0, 2), twin, node(0, 0))):
        root = grown(Group("p", rows), dict.fromkeys(range(3), 1.0), 1)
        assert [rows[child.at or 0].k for child in root.children] == [0, 2]


def test_other_purposes_are_no_nodes() -> None:
    assert grown(Group("p", (response(0),)), {0: 1.0}, 5).children == []
