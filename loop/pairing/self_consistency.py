"""Self-consistency (ScPO): the answer that most samples agree on against the one that fewest do."""

from __future__ import annotations

from collections import Counter

from loop.pairing.candidates import extremes
from loop.pairing.found import Found, Options, Rule, pair_of
from loop.verdict import Group, Verdict
from loop.verdicts import candidates


def self_consistency(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most one pair: a response with the most frequent answer against one with the least frequent.

    Votes are shares of all samples. Strength is v_w / (v_w + v_l); margin and weight are v_w - v_l. No answer is not an
    answer: it stands on neither side, and nothing is learnt where it has as many votes as the winner, or where the
    winner has less than `min_share`.
    """
    assert verdict.answers_K is not None, "self-consistency needs answers"
    members = candidates(group)
    count = Counter(verdict.answers_K[i] for i in members)
    votes = {i: count[answer] / len(members) for i in members if (answer := verdict.answers_K[i]) is not None}
    pair = extremes(group, votes, truncated_may_win)
    if pair is None:
        return []
    won, lost = votes[pair[0]], votes[pair[1]]
    if won < max(votes.values()) or won < float(options["min_share"]) or won <= count[None] / len(members):
        return []
    return [pair_of(*pair, won / (won + lost), won - lost, weight=won - lost)]


SELF_CONSISTENCY = Rule(
    name="self_consistency",
    source="Prasad et al. 2024 (ScPO), arXiv:2411.04109",
    of=self_consistency,
    reads="answers",
    options={"min_share": 0.5},
    bounds={"min_share": (0.0, 1.0)},
)
