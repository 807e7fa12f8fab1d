"""The best continuation of a text against the worst, at each step of a tree search (MCTS-DPO)."""

from __future__ import annotations

from loop.pairing.candidates import by_number, finite
from loop.pairing.found import Found, Options, Rule, pair_of
from loop.search import sibling_confidence
from loop.search_tree import Node, grown
from loop.verdict import Group, Verdict
from loop.verdicts import VETO

GAP = 1e-9
"""Values that differ by less are the same: sums of the same numbers in another order."""


def siblings(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """From the root along the most visited nodes, a pair of the best and the worst child of each, by (Q, prior, reward,
    value, visits). Both stand behind the same tokens, so a loss sees no more than where they differ.

    Strength is N_best / (N_best + N_worst), at least one half. `margin` is the difference of their Q. Children with the
    same Q, or of which fewer than two were scored, give no pair. A vetoed child does not win, nor does one at `depth`
    whose end was cut off; above, continuations end at a limit by design. `iterations` and `depth` are the sampler's.
    """
    assert verdict.scores_K is not None, "nodes are scored"
    scores = {i: score for i in by_number(group, "node") if (score := verdict.scores_K[i]) is not None}

    def wins(one: Node) -> bool:
        at = one.at
        whole = truncated_may_win or one.depth < int(options["depth"])
        return at is not None and scores[at] != VETO and (whole or not group.responses_K[at].truncated)

    pairs: list[Found] = []
    node = grown(group, finite(scores), int(options["iterations"]))
    while node.children:
        ranked = sorted((one for one in node.children if one.at in scores), key=_rank)
        if winners := [one for one in ranked if wins(one)]:
            pairs += _pair(winners[-1], ranked[0])
        node = max(node.children, key=lambda one: (one.visits, one.q, one.future))
    return pairs


def _rank(one: Node) -> tuple[float, ...]:
    return one.q, one.prior, one.reward, one.value, one.visits


def _pair(best: Node, worst: Node) -> list[Found]:
    if best.at is None or worst.at is None or best.q - worst.q < GAP:
        return []
    return [pair_of(best.at, worst.at, max(0.5, sibling_confidence(best.visits, worst.visits)), best.q - worst.q)]


SIBLINGS = Rule(
    name="siblings",
    source="Xie et al. 2024 (MCTS-DPO), arXiv:2405.00451",
    of=siblings,
    reads="scores",
    ties=True,
    options={"iterations": 8, "depth": 3},
    bounds={"iterations": (1, 1024), "depth": (1, 64)},
)
