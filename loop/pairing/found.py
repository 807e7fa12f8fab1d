"""What every pairing rule returns, and what a rule declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from loop.config import Plan
from loop.losses.parts import Kind, Labels
from loop.verdict import Group, Verdict

Options = Mapping[str, float | str]
Reads = Literal["scores", "preferences", "objectives", "answers", "nothing"]

COUNT = (1.0, 1e6)
"""Bounds of an option that counts."""
NOT_NEGATIVE = (0.0, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An example in terms of positions in its group.

    `members` and their `roles`: `chosen` and `rejected`; or `item` for each of a list; or `response` alone; and further
    roles that a loss asks for, in which a member may stand once more. `labels`: one number per member of the kind that
    the rule names, or none at all. `strength`: probability that chosen beats rejected; `weight` multiplies the
    example's loss; `stage`: examples of a smaller stage are learnt first; `gain`: how far repeated judgements disagree
    about the pair (`loop.uncertainty.information_gain`), where the rule tells that.

    `margin`: by how much chosen is better. Of rules that read preferences, and of `win_rate_of_scores`, it is the
    difference of the two sides' win rates over the pool that the judgements cover, each with one half against itself.
    Two that are known only from each other are the whole pool and differ by strength - 1/2; two that are known from a
    baseline or from opponents differ by their win rates against these. Where the pool is drawn from a policy, who
    regresses on margins regresses on the difference of P(side beats the policy), as mirror descent does. Of other
    rules it is the judge's gap, in its own unit: score, reward, share of tests or of votes. A vetoed response (score
    minus infinity) never wins; numbers that it enters are finite, see `loop.pairing.candidates.finite`.
    """

    members: tuple[int, ...]
    roles: tuple[str, ...]
    labels: tuple[float, ...] = ()
    strength: float = 1.0
    margin: float = 0.0
    weight: float = 1.0
    stage: int = 0
    gain: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A named pairing rule: which part of a verdict it reads, what kind of example with what kind of labels it gives,
    its options with their defaults, and what an option may be: one of the `choices` of a text option, a number within
    the `bounds` (inclusive) of a numeric one, a whole number where the default is an int."""

    name: str
    source: str
    of: Callable[[Group, Verdict, Options, bool], list[Found]]
    # group, verdict, options, whether a truncated response may win
    reads: Reads
    gives: Kind = "pair"
    options: Options = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    plans: tuple[Plan, ...] = ()
    # of a rule that reads preferences: the comparison plans that ask for those it needs
    roles: tuple[str, ...] = ()
    # further roles in which its examples have a response each
    gains: bool = False
    # whether its examples say how certain they are, for which questions must be put more than once
    labels: Labels = ""
    # what the labels of its examples say, so that a loss is given those that it means
    ties: bool = False
    # whether it gives pairs of strength one half, neither side of which is better
    ties_with: Callable[[Options], bool] = lambda options: False
    # whether a rule that drops ties keeps them with these options


def pair_of(
    chosen: int,
    rejected: int,
    strength: float,
    margin: float,
    labels: tuple[float, ...] = (),
    weight: float = 1.0,
    stage: int = 0,
) -> Found:
    """A pair by its two positions; `labels` of chosen and rejected."""
    return Found(
        members=(chosen, rejected),
        roles=("chosen", "rejected"),
        labels=labels,
        strength=strength,
        margin=margin,
        weight=weight,
        stage=stage,
    )


def single_of(response: int, label: float) -> Found:
    """One response with its label: 1 for desirable, 0 for not."""
    return Found(members=(response,), roles=("response",), labels=(label,))


def may_win(group: Group, response: int, truncated_may_win: bool) -> bool:
    """Whether a response may be the better one of an example: it is whole, or truncated ones are allowed to win."""
    return truncated_may_win or not group.responses_K[response].truncated


def is_pair(group: Group, winner: int, loser: int, truncated_may_win: bool) -> bool:
    """Whether two responses may stand on two sides: not the same tokens, and the winner may win."""
    same = group.responses_K[winner].tokens_T == group.responses_K[loser].tokens_T
    return not same and may_win(group, winner, truncated_may_win)


def graded_pair(group: Group, i: int, j: int, strength: float, margin: float, truncated_may_win: bool) -> list[Found]:
    """Two responses as a pair whose strength is at least one half, for losses that read strengths; none when they are
    no pair. `strength` and `margin` are those of i over j.

    A tie is a pair of strength 1/2, told in an order that does not depend on the positions.
    """

    def order(k: int) -> tuple[bool, str]:
        return not may_win(group, k, truncated_may_win), group.responses_K[k].response_id

    if strength < 0.5 or (strength == 0.5 and order(i) > order(j)):
        i, j, strength, margin = j, i, 1.0 - strength, -margin
    return [pair_of(i, j, strength, margin)] if is_pair(group, i, j, truncated_may_win) else []
