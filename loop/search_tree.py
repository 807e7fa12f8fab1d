"""The statistics of a tree search (MCTS-DPO, arXiv:2405.00451), rebuilt from a group's nodes and their scores.

Follows the authors' code with three differences, since steps are sampled and judged for many prompts at a time. One
tree is searched from the root, where they search again at each depth. A visit ends at the likeliest-looking of the
children that it made, and goes no deeper. And a continuation that was sampled twice is one node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from loop.records import Response
from loop.search import prior_of, puct
from loop.verdict import Group

WIDTH = 16
"""Numbers that a step's nodes may take: a node's number divided by this is the step that made it, so a step that made
none shows."""


@dataclass(slots=True, eq=False)
class Node:
    """A text so far: the root (the prompt alone, `at` None) or the response at a position in its group.

    `value` is its score, or its parent's where it has none; of the root the mean of its children's. `reward` is what it
    adds to its parent's value, `future` the mean Q of its children by visits, each counted at least once.
    """

    at: int | None = None
    parent: Node | None = None
    depth: int = 0
    value: float = 0.0
    logprob: float = 0.0
    tokens: int = 1
    visits: int = 0
    future: float = 0.0
    children: list[Node] = field(default_factory=list)

    @property
    def reward(self) -> float:
        """What it adds to the value of the text before it."""
        return self.value - self.parent.value if self.parent else 0.0

    @property
    def q(self) -> float:
        """Its reward and what is to be expected of its children."""
        return self.reward + self.future

    @property
    def prior(self) -> float:
        """How likely the policy finds this step, as `loop.search.puct` reads it."""
        return prior_of(self.logprob, self.tokens)

    @property
    def line(self) -> list[Node]:
        """The nodes from the root to this one."""
        return [*(self.parent.line if self.parent else []), self]

    @property
    def leaf(self) -> Node:
        """Where the next visit leads: down to a node without children, each time to the child with the largest PUCT,
        among equals to the smallest number."""
        return self.favourite.leaf if self.children else self

    @property
    def favourite(self) -> Node:
        """The child that is visited next."""
        return max(self.children, key=lambda one: puct(one.q, one.logprob, one.tokens, self.visits, one.visits))


def grown(group: Group, scores: Mapping[int, float], steps: int) -> Node:
    """The root of the tree after so many steps, from the scores that are known, by position in the group.

    Each step is one visit. Where it made nodes, it went to their parent; where it did not, to a leaf that was complete,
    found as the search found it.
    """
    made: dict[int, list[int]] = defaultdict(list)
    responses = group.responses_K
    for at in sorted((i for i, one in enumerate(responses) if one.purpose == "node"), key=lambda i: responses[i].k):
        made[responses[at].k // WIDTH].append(at)
    root = Node()
    known: dict[str | None, Node] = {None: root}
    for step in range(steps):
        if step in made:
            leaf = known[responses[made[step][0]].parent]
            leaf.children = _children(leaf, responses, scores, made[step])
            known |= {responses[one.at].response_id: one for one in leaf.children if one.at is not None}
            _visit(leaf.favourite)
        else:
            _visit(root.leaf)
    return root


def _children(
    parent: Node, responses: tuple[Response, ...], scores: Mapping[int, float], made: list[int]
) -> list[Node]:
    first: dict[tuple[int, ...], int] = {}
    for at in made:
        first.setdefault(tuple(responses[at].tokens_T), at)
    if parent.parent is None:
        parent.value = fmean([scores[at] for at in first.values() if at in scores] or [0.0])
    return [
        Node(
            at=at,
            parent=parent,
            depth=parent.depth + 1,
            value=scores.get(at, parent.value),
            logprob=sum(responses[at].logprobs_T),
            tokens=max(1, len(responses[at].tokens_T)),
        )
        for at in first.values()
    ]


def _visit(end: Node) -> None:
    """Count a visit to each node from the root to this one, and pass on what is to be expected, from below."""
    for node in reversed(end.line):
        if node.children:
            weights = [max(1, child.visits) for child in node.children]
            expected = sum(weight * child.q for weight, child in zip(weights, node.children, strict=True))
            node.future = expected / sum(weights)
        node.visits += 1
