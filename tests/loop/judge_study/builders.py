"""Cases and replies for tests."""

from __future__ import annotations

from collections.abc import Sequence

from loop.judge_study.asking import Answered, Manner, Outcome, outcomes
from loop.judge_study.cases import Case
from loop.judges.judge import Reply

FAILED = Reply("no verdict", "failed", None)
COMPARES = Manner(pairwise=True)
SCORES = Manner()


def case(chosen: Sequence[str], rejected: Sequence[str], subset: str = "all", case_id: str = "1") -> Case:
    """A case about nothing."""
    turns = [{"role": "user", "content": "say it"}]
    return Case(f"f, line {case_id}", case_id, subset, "p", turns, tuple(chosen), tuple(rejected))


def said(value: float | None) -> Reply:
    """A reply with a number; None is a failed one."""
    return FAILED if value is None else Reply("so", "undecided" if value == 0.5 else "decided", value)


def scored(one: Case, *scores: float | None, manner: Manner = SCORES) -> Outcome:
    """The outcome of a judge that scores."""
    return outcomes([one], [said(score) for score in scores], manner)[0]


def pair(*values: float | None, subset: str = "all", chosen: str = "aa", rejected: str = "b") -> Outcome:
    """The outcome of a judge that compares: what it says with the chosen one shown first, and with it shown second."""
    return outcomes([case([chosen], [rejected], subset)], [said(value) for value in values], COMPARES)[0]


def answered(*replies: Reply, seconds: float = 2.0) -> Answered:
    """What a judge answered."""
    return Answered("judge-1", list(replies), seconds, {"requests": 3.0})
