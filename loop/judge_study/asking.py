"""Cases -> questions, and replies -> outcomes. Pure; whoever asks keeps the order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from loop.judge_study.cases import Case
from loop.judges.comparing import beats
from loop.judges.judge import Asked, Reply
from loop.records import Question, digest_of

Said = Literal["right", "wrong", "tied", "failed"]

EVEN = 1e-9
"""Probabilities this close to one half prefer neither side."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a judge is asked: responses one by one, or (`pairwise`) two at a time in both orders. The scores of a
    `certain` judge, such as a verifier, say which one is better; the difference of others is a logit."""

    pairwise: bool = False
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a judge says of a chosen and a rejected response: the probability that the chosen one is better, None when
    that failed. `orders`: the same with the chosen one shown first, and with it shown second, of a judge that compares.
    `longer`: characters by which the chosen one is longer. `weight` is the comparison's share of its case."""

    chosen: int
    rejected: int
    value: float | None
    orders: tuple[float | None, float | None] | None
    longer: int
    weight: float

    @property
    def said(self) -> Said:
        """Which side wins."""
        return said(self.value)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case with every comparison of its responses, and their scores (chosen ones first) from a judge that scores."""

    case: Case
    comparisons: tuple[Comparison, ...]
    scores: tuple[float | None, ...] | None

    @property
    def credit(self) -> float:
        """1 when every chosen response is above every rejected one, 0 when one is not or a judgement failed. With t
        rejected ones level with it a chosen one gets 1 / (1 + t), the chance of a draw among equals: half for two
        responses, and RewardBench 2's share for best of n (arXiv 2506.01937)."""
        level = [0] * len(self.case.chosen)
        for one in self.comparisons:
            if one.said in ("wrong", "failed"):
                return 0.0
            level[one.chosen] += one.said == "tied"
        return 1.0 / (1 + max(level))

    @property
    def said(self) -> Said:
        """What the judge says of the case as a whole."""
        if any(one.said == "failed" for one in self.comparisons):
            return "failed"
        credit = self.credit
        return "right" if credit == 1.0 else "wrong" if credit == 0.0 else "tied"


@dataclass(frozen=True, slots=True)
class Answered:
    """A judge's replies in the order asked, and what they took: its version, seconds of answering (of the slowest
    process), and its own counters."""

    version: str
    replies: Sequence[Reply]
    seconds: float
    usage: Mapping[str, float]


def said(value: float | None) -> Said:
    """Which side a probability that the chosen one is better prefers."""
    if value is None:
        return "failed"
    return "tied" if abs(value - 0.5) <= EVEN else "right" if value > 0.5 else "wrong"


def questions(cases: Sequence[Case], manner: Manner) -> list[Asked]:
    """Every question about the cases, in the order in which `outcomes` expects the replies."""
    return [asked for case in cases for asked in _about(case, manner)]


def _about(case: Case, manner: Manner) -> Iterator[Asked]:
    texts = case.responses
    ids = [digest_of("studied response", case.prompt_id, case.case_id, at) for at in range(len(texts))]
    group_K = tuple(text for _, text in sorted(zip(ids, texts, strict=True)))  # places do not tell the chosen ones
    for shown in _shown(case) if manner.pairwise else [(at,) for at in range(len(texts))]:
        question = Question(case.prompt_id, [ids[at] for at in shown])
        yield Asked(question, case.conversation, tuple(texts[at] for at in shown), case.answer, group_K)


def _shown(case: Case) -> Iterator[tuple[int, ...]]:
    for chosen, rejected in _pairs(case):
        yield chosen, rejected
        yield rejected, chosen


def _pairs(case: Case) -> Iterator[tuple[int, int]]:
    for chosen in range(len(case.chosen)):
        for rejected in range(len(case.chosen), len(case.responses)):
            yield chosen, rejected


def outcomes(cases: Sequence[Case], replies: Sequence[Reply], manner: Manner) -> list[Outcome]:
    """What the replies to `questions(cases, manner)` say of each case."""
    told = iter(replies)
    return [_compared(case, told) if manner.pairwise else _scored(case, told, manner.certain) for case in cases]


def _compared(case: Case, replies: Iterator[Reply]) -> Outcome:
    found = []
    for pair in _pairs(case):
        first, second = (_probability(reply) for reply in islice(replies, 2))
        orders = first, None if second is None else 1.0 - second
        both = None if orders[0] is None or orders[1] is None else (orders[0] + orders[1]) / 2
        found.append(_comparison(case, pair, both, orders))
    return Outcome(case, tuple(found), None)


def _probability(reply: Reply) -> float | None:
    if reply.status == "failed":
        return None
    return 0.5 if reply.value is None else reply.value


def _scored(case: Case, replies: Iterator[Reply], certain: bool) -> Outcome:
    told = list(islice(replies, len(case.responses)))
    found = [_comparison(case, pair, _better(told[pair[0]], told[pair[1]], certain), None) for pair in _pairs(case)]
    return Outcome(case, tuple(found), tuple(None if one.status == "failed" else one.value for one in told))


def _better(one: Reply, other: Reply, certain: bool) -> float | None:
    """As `loop.judges.comparing` has it: where a judge neither scores nor fails, nothing is better."""
    if "failed" in (one.status, other.status):
        return None
    return 0.5 if one.value is None or other.value is None else beats(one.value, other.value, certain)


def _comparison(
    case: Case, pair: tuple[int, int], value: float | None, orders: tuple[float | None, float | None] | None
) -> Comparison:
    chosen, rejected = pair
    return Comparison(
        chosen=chosen,
        rejected=rejected,
        value=value,
        orders=orders,
        longer=len(case.responses[chosen]) - len(case.responses[rejected]),
        weight=1 / (len(case.chosen) * len(case.rejected)),
    )
